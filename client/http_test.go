package client

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What somebody has to set right is said at once, and is not an outage.
func TestConfigurationMistakes(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer plain.Close()
	for what, address := range map[string]string{
		"nobody we know signed its certificate": secure.URL,
		"it speaks no TLS":                      strings.Replace(plain.URL, "http:", "https:", 1),
	} {
		c, err := New(address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Start(t.Context(), "u", "x") // it would be tried for half a minute
		if !errors.Is(err, CodeUnavailable) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
		for _, err := range c.Watch(t.Context()) {
			if !errors.Is(err, CodeUnavailable) {
				t.Errorf("%s: watching: %v", what, err)
			}
		}
		c.Close()
	}
	for _, key := range []string{"k\n", "k\x00", "\x7fk"} {
		if _, err := New(plain.URL, APIKey(key)); err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("the key %q: %v", key, err)
		}
	}
	if _, err := New(plain.URL, As("floor7")); err == nil {
		t.Error("a name over HTTP is ignored")
	}
	c, err := New(plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, err := range c.Watch(t.Context(), After("e:1\n")) {
		if !errors.Is(err, CodeBadRequest) {
			t.Errorf("a position that no header can have: %v", err)
		}
	}
}

// relay passes connections on to a server, and can leave those that are there
// dead: open, and carrying nothing.
type relay struct {
	net.Listener
	to    string
	conns atomic.Int64

	mu   sync.Mutex
	open []net.Conn
	dead chan struct{} // closed: those that are there carry nothing
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: l, to: to, dead: make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.conns.Add(1)
			all.Go(func() { r.pass(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.mu.Lock()
		for _, c := range r.open {
			_ = c.Close()
		}
		r.mu.Unlock()
		all.Wait()
	})
	return r
}

func (r *relay) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.dead)
	r.dead = make(chan struct{})
}

func (r *relay) pass(from net.Conn) {
	to, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.open = append(r.open, from, to)
	dead := r.dead
	r.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			buf := make([]byte, 4096)
			for {
				n, err := way[0].Read(buf)
				select {
				case <-dead:
					_, _ = io.Copy(io.Discard, way[0])
					return
				default:
				}
				if err == nil {
					_, err = way[1].Write(buf[:n])
				}
				if err != nil {
					_ = way[1].Close()
					return
				}
			}
		})
	}
	both.Wait()
}

// Over HTTP/2 all requests share a connection. One that carries nothing any more
// is left while the lease of a holder still runs.
func TestDeadConnectionIsLeft(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("it speaks %s", r.Proto)
		}
		_, _ = w.Write([]byte(aCall))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	r := newRelay(t, server.Listener.Addr().String())
	c, err := New("https://"+r.Addr().String(), APIKey("k"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	own := c.via.(*httpTransport).own
	own.TLSClientConfig.RootCAs = x509.NewCertPool()
	own.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	if p := own.HTTP2; p == nil || p.SendPingTimeout+p.PingTimeout > 5*time.Second || p.SendPingTimeout <= 0 || p.PingTimeout <= 0 {
		t.Fatalf("no pings: %+v", own.HTTP2)
	}
	own.HTTP2.SendPingTimeout, own.HTTP2.PingTimeout = 50*time.Millisecond, 50*time.Millisecond
	if _, err := c.Start(t.Context(), "u", "x"); err != nil {
		t.Fatal(err)
	}
	before := r.conns.Load() // one, unless a ping was not answered in time
	r.kill()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := c.Start(ctx, "u", "x"); err != nil || r.conns.Load() == before {
		t.Errorf("%v over %d connections, before over %d", err, r.conns.Load(), before)
	}
}
