package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// benchArgs are a fleet of a few seconds.
func benchArgs(url string, more ...string) []string {
	return append([]string{"bench", "--url", url, "--agents", "12", "--clients", "20", "--ramp", "200ms", "--warm-up", "200ms", "--time", "2s"}, more...)
}

// TestFleetOnARealServer: a fleet finds no fault, and leaves nothing behind but
// accounts that are disabled.
func TestFleetOnARealServer(t *testing.T) {
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		nats := harness.FreeAddr(t)
		s := d.Serve(t, "--nats-listen", nats)
		s.WaitReady(readyLimit)
		plot := filepath.Join(t.TempDir(), "plot.svg")
		for name, args := range map[string][]string{
			"paced":     {"--think", "20ms", "--talk", "50ms", "--wrap-up", "20ms", "--double-starts", "0.5", "--plot", plot},
			"flat out":  {"--flat-out", "--zipf", "1.2"},
			"over NATS": {"--flat-out", "--nats-url", "nats://" + nats},
		} {
			var got struct {
				Calls, Refused, Checked int
				Broken                  int `json:"promises_broken"`
			}
			out := d.MustRun(t, benchArgs(s.URL, append(args, "--json")...)...)
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("%s: %v in %s", name, err, out)
			}
			if got.Calls == 0 || got.Refused == 0 || got.Checked == 0 || got.Broken > 0 {
				t.Errorf("%s: %+v", name, got)
			}
		}
		if text, err := os.ReadFile(plot); err != nil || !strings.Contains(string(text), "</svg>") {
			t.Errorf("the plot: %v", err)
		}
		left(t, d)
	})
}

// left fails the test for what a fleet should have cleaned up.
func left(t *testing.T, d harness.Dibs) {
	t.Helper()
	db := openStore(t, d.Store)
	for what, want := range map[string]struct {
		query string
		n     int
	}{
		"calls in progress":     {"SELECT count(*) FROM claims", 0},
		"clients":               {"SELECT count(*) FROM clients WHERE name LIKE 'dibs bench%'", 0},
		"keys that can be used": {"SELECT count(*) FROM api_keys WHERE revoked_at IS NULL", 0},
	} {
		var n int
		if err := db.QueryRowContext(t.Context(), want.query).Scan(&n); err != nil || n != want.n {
			t.Errorf("%s left: %d, want %d (%v)", what, n, want.n, err)
		}
	}
	agents := 0
	for line := range strings.Lines(d.MustRun(t, "users", "list")) {
		if !strings.Contains(line, "@bench.dibs.invalid") {
			continue
		}
		if agents++; !strings.Contains(line, " disabled ") {
			t.Errorf("an agent can be used: %s", line)
		}
	}
	if agents != 12 {
		t.Errorf("%d accounts of agents, want the same 12 again and again", agents)
	}
}

// TestFleetInterrupted: Ctrl-C cleans up too.
func TestFleetInterrupted(t *testing.T) {
	d := onSQLite(t)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	p := d.Start(t, benchArgs(s.URL, "--time", "10m", "--talk", "1h")...)
	db := openStore(t, d.Store)
	waitFor(t, time.Minute, "calls", func() bool { return len(claimsIn(t, db)) > 0 })
	p.Signal(syscall.SIGINT)
	if code := p.Wait(time.Minute); code != 130 {
		t.Errorf("exit code %d: %s", code, p.Stderr())
	}
	left(t, d)
}

// TestFleetCatchesALiar: a server that gives every client to everybody is found
// out, and the exit code says so.
func TestFleetCatchesALiar(t *testing.T) {
	var made atomic.Int64
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost: // a client
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"client":{"id":"00000000-0000-4000-8000-%012d"}}`, made.Add(1))
		case http.MethodGet: // the people
			var users []string
			for i := range 12 {
				users = append(users, fmt.Sprintf(`{"id":"00000000-0000-4000-9000-%012d"}`, i))
			}
			_, _ = fmt.Fprintf(w, `{"users":[%s]}`, strings.Join(users, ","))
		case http.MethodPut:
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprintf(w, `{"call":{"id":"x","token":%d}}`, made.Add(1))
		}
	}))
	defer liar.Close()
	d := onSQLite(t)
	d.Env = append(d.Env, "DIBS_API_KEY=key")
	p, code := d.Run(t, benchArgs(liar.URL, "--existing-people", "--think", "10ms", "--talk", "50ms", "--wrap-up", "10ms")...)
	if code != 1 || !strings.Contains(p.Stderr(), "I1 broken: client ") || !strings.Contains(p.Stderr(), "I2 broken: user ") {
		t.Errorf("exit code %d: %s\n%s", code, p.Stderr(), p.Stdout())
	}
}
