package harness

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Dibs is the binary and the store that its processes share.
type Dibs struct {
	Binary string
	Store  Store
	Env    []string // beside the test's own environment
}

// Server is a running `dibs serve`.
type Server struct {
	*Process
	Addr string // host:port
	URL  string // http://host:port
}

// environment is the test's own, without what would lead dibs elsewhere.
func (d Dibs) environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "DIBS_") && !strings.HasPrefix(kv, "OTEL_") {
			env = append(env, kv)
		}
	}
	return append(d.Store.env(env), d.Env...)
}

// Serve starts the server with the arguments given, on a free port of the
// loopback interface. It does not wait until the server is ready.
func (d Dibs) Serve(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return d.ServeAt(tb, FreeAddr(tb), args...)
}

// ServeAt is Serve on an address of the caller's choice: a restart takes that
// of the run before, as it does in life.
func (d Dibs) ServeAt(tb testing.TB, addr string, args ...string) *Server {
	tb.Helper()
	args = append([]string{"serve", "--listen", addr}, args...)
	p := startProcess(tb, d.Binary, d.environment(), args...)
	return &Server{Process: p, Addr: addr, URL: "http://" + addr}
}

// Start starts a command and does not wait for its end.
func (d Dibs) Start(tb testing.TB, args ...string) *Process {
	tb.Helper()
	return startProcess(tb, d.Binary, d.environment(), args...)
}

// Run runs a command to its end and returns it, with its exit code.
func (d Dibs) Run(tb testing.TB, args ...string) (*Process, int) {
	tb.Helper()
	p := startProcess(tb, d.Binary, d.environment(), args...)
	return p, p.Wait(2 * time.Minute)
}

// MustRun is Run of a command that must succeed. It returns what the command
// wrote to standard output.
func (d Dibs) MustRun(tb testing.TB, args ...string) string {
	tb.Helper()
	p, code := d.Run(tb, args...)
	if code != 0 {
		tb.Fatalf("dibs %v: exit code %d\n%s", args, code, p.Stderr())
	}
	return p.Stdout()
}

// WaitReady waits until /readyz says yes and returns how long that took from
// now. A server that ends before, or takes longer than limit, fails the test.
func (s *Server) WaitReady(limit time.Duration) time.Duration {
	s.tb.Helper()
	begin := time.Now()
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Since(begin) < limit {
		select {
		case <-s.done:
			s.tb.Fatalf("dibs serve ended before it was ready: %v", s.err)
		case <-tick.C:
		}
		if s.ready(client) {
			return time.Since(begin)
		}
	}
	s.tb.Fatalf("dibs serve is not ready after %v", limit)
	return 0
}

func (s *Server) ready(client *http.Client) bool {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.URL+"/readyz", http.NoBody)
	if err != nil {
		s.tb.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// ResidentMemory returns the bytes of memory that it holds now.
func (s *Server) ResidentMemory() int64 {
	s.tb.Helper()
	n, err := residentMemory(s.PID())
	if err != nil {
		s.tb.Fatal(err)
	}
	return n
}
