package natsapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// Each way of proving who we are, right and wrong, against a real server.
func TestCredentials(t *testing.T) {
	keys := filepath.Join("testdata", "keys")
	for _, c := range []struct {
		name, server string
		right, wrong Auth
	}{
		{"token", `authorization { token: "secret" }`, Auth{Token: "secret"}, Auth{Token: "guess"}},
		{"password", `authorization { user: "dibs", password: "secret" }`, Auth{User: "dibs", Password: "secret"}, Auth{User: "dibs", Password: "guess"}},
		{"nkey", "authorization { users: [ { nkey: " + read(t, filepath.Join(keys, "user.nk.pub")) + " } ] }", Auth{NKey: filepath.Join(keys, "user.nk")}, Auth{}},
		{"creds", read(t, filepath.Join(keys, "operator.conf")), Auth{Creds: filepath.Join(keys, "user.creds")}, Auth{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := process(t, c.server)
			cfg := configOf(t, server)
			cfg.Auth = c.wrong
			if bus, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "refuses the connection") {
				if err == nil {
					closeBus(t, bus)
				}
				t.Errorf("with wrong credentials: %v", err)
			}
			cfg = configOf(t, server)
			cfg.Auth = c.right
			works(t, cfg)
		})
	}
}

func works(t *testing.T, cfg Config) {
	t.Helper()
	bus := open(t, cfg)
	if err := bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	outbox := &natstest.Outbox{}
	outbox.Add(natstest.Started(1, 0))
	publishing(t, bus, outbox)
	empty(t, outbox)
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca, cert, key := certificates(t, dir)
	server := process(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }", cert, key, ca))
	cfg := configOf(t, server)
	if bus, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "refuses the connection") {
		if err == nil {
			closeBus(t, bus)
		}
		t.Errorf("without knowing the authority: %v", err)
	}
	cfg = configOf(t, server)
	cfg.TLS = TLS{CA: ca, Cert: cert, Key: key}
	works(t, cfg)

	embedded := inProcess(t, t.TempDir())
	embedded.Embedded = EmbeddedConfig{Dir: embedded.Embedded.Dir, Listen: "127.0.0.1:0", Token: "secret", Cert: cert, Key: key}
	bus := open(t, embedded)
	cfg = Config{URL: "nats://" + bus.Addr().String(), Auth: Auth{Token: "secret"}, TLS: TLS{CA: ca}, Log: logger(t)}
	cfg.Metrics = configOf(t, server).Metrics
	works(t, cfg)
}

// certificates writes an authority, and a certificate of 127.0.0.1 for server
// and client.
func certificates(t *testing.T, dir string) (ca, cert, key string) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &signer.PublicKey, signer)
	ca = write("ca.pem", "CERTIFICATE", der, err)
	der, err = x509.CreateCertificate(rand.Reader, leaf, root, &own.PublicKey, signer)
	cert = write("cert.pem", "CERTIFICATE", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(own)
	return ca, cert, write("key.pem", "PRIVATE KEY", der, err)
}

func TestAddressesAreLoggedWithoutSecrets(t *testing.T) {
	got := withoutSecrets("nats://user:p@ss@a:4222,b:4222,tls://token@c")
	if want := "nats://a:4222,b:4222,tls://c"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAddressThatIsNone(t *testing.T) {
	cfg := Config{URL: "nats://%zz", Metrics: configOf(t, &natstest.Server{}).Metrics, Log: logger(t)}
	if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "cannot be understood") {
		t.Errorf("got %v", err)
	}
}
