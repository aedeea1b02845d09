package chaos

import (
	"context"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// healLimit is how long anything may take to come back once its fault is over.
const healLimit = 60 * time.Second

// node is one server of a deployment, as whoever operates it sees it. The
// goroutine of the test owns it; callers know its address alone.
type node struct {
	t     testing.TB
	name  string
	dibs  harness.Dibs
	addr  string
	args  []string
	links map[string]*link // by what they lead to
	clock *clock           // nil: it cannot be moved

	server *harness.Server
	deaths int // times that it ended by itself
	// revived is how often this process of it has said that it started the NATS inside
	// it anew.
	revived int
}

func (n *node) url() string { return "http://" + n.addr }

// start starts the node without waiting for it.
func (n *node) start() {
	n.server, n.revived = n.dibs.ServeAt(n.t, n.addr, n.args...), 0
}

func (n *node) kill() { n.server.Kill() }

func (n *node) pause() { n.server.Signal(syscall.SIGSTOP) }

func (n *node) resume() { n.server.Signal(syscall.SIGCONT) }

// leave stops the node as an operator does.
func (n *node) leave() error {
	code, _ := n.server.Terminate(healLimit)
	if code != 0 {
		return fmt.Errorf("node %s, told to stop, ended with %d: %s", n.name, code, n.server.Stderr())
	}
	return nil
}

// comeBack waits until the node is ready. One that has ended is started again,
// as a supervisor does: it may have found its store away.
func (n *node) comeBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-n.server.Done():
			n.deaths++
			n.start()
		case <-ctx.Done():
			return fmt.Errorf("node %s is not ready %v after its fault was over: %s", n.name, healLimit, tail(n.server.Stderr()))
		case <-tick.C:
		}
		if n.ready(ctx) {
			return nil
		}
	}
}

func (n *node) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url()+"/readyz", http.NoBody)
	must(n.t, err)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// time is what the node's clock says.
func (n *node) time() (time.Time, error) {
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.url()+"/healthz", http.NoBody)
	if err != nil {
		return time.Time{}, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	return http.ParseTime(resp.Header.Get("Date"))
}

// tail keeps the end of a long output, where the reason stands.
func tail(s string) string {
	const keep = 4 << 10
	if len(s) > keep {
		return "…" + s[len(s)-keep:]
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
