package integration

import (
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestFirstStart: with nobody in the store, the server makes an administrator
// and prints a one-time password. It does so once.
func TestFirstStart(t *testing.T) {
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		s := d.Serve(t)
		s.WaitReady(readyLimit)
		email, secret := firstAdmin(t, s)
		admin := harness.NewClient(t, s.URL, "").Login(t, email, secret)
		harness.Must(t, http.StatusOK)(admin.Do(t.Context(), http.MethodPost, "/api/user-status", nil)) // admins only
		if code, _ := s.Terminate(stopLimit); code != 0 {
			t.Fatalf("exit code %d", code)
		}

		s = d.ServeAt(t, s.Addr)
		s.WaitReady(readyLimit)
		if out := s.Stdout() + s.Stderr(); strings.Contains(out, secret) || firstPassword.MatchString(out) {
			t.Error("the second start prints a password again")
		}
		harness.NewClient(t, s.URL, "").Login(t, email, secret)
	})
}

var (
	firstEmail    = regexp.MustCompile(`[\w.+-]+@[\w.-]+`)
	firstPassword = regexp.MustCompile(`(?i)password:?\s+(\S+)`)
)

// firstAdmin reads what a first start printed for a person.
func firstAdmin(t *testing.T, s *harness.Server) (email, secret string) {
	t.Helper()
	var m []string
	waitFor(t, readyLimit, "the first start to print an administrator", func() bool { // which may still be on its way to us
		out := s.Stdout() + s.Stderr()
		email, m = firstEmail.FindString(out), firstPassword.FindStringSubmatch(out)
		return email != "" && m != nil
	})
	return email, m[1]
}

// TestListenRules: what would put people's data on the network unprotected is
// refused before anything listens.
func TestListenRules(t *testing.T) {
	demo := onSQLite(t)
	s := demo.Serve(t, "--demo")
	s.WaitReady(readyLimit)
	s.Terminate(stopLimit)

	for _, tt := range []struct {
		name    string
		d       harness.Dibs
		args    []string
		refused string // in the message
	}{
		{"beyond loopback without TLS", onSQLite(t), nil, "tls"},
		{"demo beyond loopback", onSQLite(t), []string{"--demo"}, "demo"},
		{"demo beyond loopback behind a proxy", onSQLite(t), []string{"--demo", "--behind-proxy"}, "demo"},
		{"demo accounts of an earlier run beyond loopback", demo, []string{"--behind-proxy"}, "demo"},
		{"beyond loopback behind a proxy", onSQLite(t), []string{"--behind-proxy"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, port, err := net.SplitHostPort(harness.FreeAddr(t))
			if err != nil {
				t.Fatal(err)
			}
			s := tt.d.ServeAt(t, net.JoinHostPort("0.0.0.0", port), tt.args...)
			s.URL = "http://127.0.0.1:" + port
			if tt.refused == "" {
				s.WaitReady(readyLimit)
				return
			}
			if code := s.Wait(readyLimit); code == 0 {
				t.Error("exit code 0")
			}
			if !strings.Contains(strings.ToLower(s.Stderr()), tt.refused) {
				t.Errorf("the refusal does not speak of %q: %s", tt.refused, s.Stderr())
			}
		})
	}
}

// TestCommandsBesideTheServer: people, clients and keys are managed with the
// command line while the server runs, and what it does counts at once.
func TestCommandsBesideTheServer(t *testing.T) {
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		s := d.Serve(t)
		s.WaitReady(readyLimit)
		anon := harness.NewClient(t, s.URL, "").Patient(storeAway)

		importPeople(t, d, person{"ana@example.org", "Ana", "Alvarez", "user", password})
		importClients(t, d, 3)
		ana := anon.Login(t, "ana@example.org", password)
		clients := ana.AllClients(t)
		if len(clients) != 3 {
			t.Errorf("%d clients after an import of 3", len(clients))
		}

		key := serviceKey(t, d)
		if strings.ContainsAny(key, " \n") || key == "" {
			t.Errorf("a key alone is expected on standard output: %q", key)
		}
		service := anon.As(key)
		id := service.Statuses(t, false)
		if len(id) == 0 {
			t.Error("the new key sees nobody")
		}

		export := filepath.Join(t.TempDir(), "export.csv")
		if out := d.MustRun(t, "clients", "export"); !strings.Contains(out, clients[0].ID.String()) &&
			!strings.Contains(out, clients[0].Phone) {
			t.Errorf("%s: the export lacks the first client: %.300s", export, out)
		}
		if out := d.MustRun(t, "users", "list"); !strings.Contains(out, "ana@example.org") {
			t.Errorf("users list: %s", out)
		}

		// A call in progress goes on; signing in and starting do not.
		harness.Must(t, http.StatusOK)(ana.Put(t.Context(), harness.Change{Action: "start_call", ClientID: clients[0].ID.String()}))
		d.MustRun(t, "users", "disable", "ana@example.org")
		waitFor(t, readyLimit, "the session of a disabled user to end", func() bool {
			r, err := ana.Do(t.Context(), http.MethodGet, "/api/auth/verify", nil)
			return err == nil && r.Status == http.StatusUnauthorized
		})
		body := map[string]string{"email": "ana@example.org", "password": password}
		harness.Must(t, http.StatusUnauthorized)(anon.Do(t.Context(), http.MethodPost, "/api/auth/login", body))
		if a := service.Availability(t, clients[0].ID); a.Available == nil || *a.Available {
			t.Errorf("the call of a disabled user is gone: %s", a.Raw)
		}
	})
}

// TestKilledWhileStarting kills a server's first start in an empty folder at one
// point after the other, told by how many files it has made. The next start in
// that folder gets on with whatever it finds.
func TestKilledWhileStarting(t *testing.T) {
	t.Parallel()
	const points = 24
	for files := 1; files <= points && !t.Failed(); files++ {
		d := onSQLite(t)
		s := d.Serve(t)
		killAt(t, s, d.Store.DataDir, files)
		s = d.Serve(t)
		s.WaitReady(readyLimit)
		if code, _ := s.Terminate(stopLimit); code != 0 {
			t.Errorf("killed at %d files: the next start ends with exit code %d\n%s", files, code, s.Stderr())
		}
	}
}

// killAt kills a server when there are so many files in its folder, or when it
// is ready.
func killAt(t *testing.T, s *harness.Server, dir string, files int) {
	t.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(readyLimit); countFiles(dir) < files; {
		if time.Now().After(end) {
			t.Fatalf("neither %d files nor ready after %v", files, readyLimit)
		}
		resp, err := client.Get(s.URL + "/readyz") //nolint:noctx // has a time-out
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			break
		}
	}
	s.Kill()
}

// countFiles leaves out what is gone by the time that it is looked at.
func countFiles(dir string) (n int) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			n++
		}
		return nil
	})
	return n
}
