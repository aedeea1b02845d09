package integration

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

const (
	// An answer that waited for nothing comes long before the server's own time-out of
	// five seconds; one that waited for that comes long before it is over twice. The rest
	// is for a machine that has other things to do.
	atOnce         = 3 * time.Second
	requestTimeout = 9 * time.Second
)

// outage is a server on a Postgres of its own, with a call in progress.
type outage struct {
	postgres *pgtest.Server
	server   *harness.Server
	*dialer
	held *messages.Call // of user 0 and client 0
}

func newOutage(t *testing.T) outage {
	t.Helper()
	pg := pgtest.StartServer(t, pgtest.Options{})
	url, err := pg.CreateDatabase("dibs")
	if err != nil {
		t.Fatal(err)
	}
	d := harness.Dibs{Binary: tools.dibs, Store: harness.Store{DataDir: t.TempDir(), DatabaseURL: url}}
	connect := newDialer(t, d, 20, 20)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	o := outage{postgres: pg, server: s, dialer: connect(s)}
	o.Client = o.Patient(0) // what it says without a store is what these tests are about
	o.held = harness.Must(t, http.StatusOK)(o.start(t, 0, 0), nil).Call
	return o
}

// refused checks that an answer says "not now, come back later", and how long
// it took.
func refused(t *testing.T, r harness.Reply, err error, took, limit time.Duration) {
	t.Helper()
	if err != nil {
		t.Errorf("without a store: %v", err)
		return
	}
	if r.Status != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("without a store: status %d, Retry-After %q: %s", r.Status, r.Header.Get("Retry-After"), r.Raw)
	}
	if took > limit {
		t.Errorf("without a store: answered after %v, want at most %v", took, limit)
	}
}

// everybodyIsRefused sends starts of users 1 and up and the end of user 0, all
// at once.
func (o outage) everybodyIsRefused(t *testing.T, limit time.Duration) {
	t.Helper()
	changes := []harness.Change{{Action: "end_call", UserID: o.users[0].String()}}
	for u := 1; u < len(o.users); u++ {
		changes = append(changes, o.startOf(u, u))
	}
	var wg sync.WaitGroup
	for _, change := range changes {
		wg.Go(func() {
			begin := time.Now()
			r, err := o.Put(t.Context(), change)
			refused(t, r, err, time.Since(begin), limit)
		})
	}
	wg.Wait()
}

// goesOn waits until the server works again without a restart, and checks what
// became of everybody: user 0 is on the call still or ended it, and each of the
// others is on the call that they asked for or on none.
func (o outage) goesOn(t *testing.T) {
	t.Helper()
	waitFor(t, readyLimit, "the server to be ready again", func() bool {
		r, err := o.Do(t.Context(), http.MethodGet, "/readyz", nil)
		return err == nil && r.Status == http.StatusOK
	})
	for u := range o.users {
		var r harness.Reply
		waitFor(t, readyLimit, "an answer that is not 503", func() bool {
			r = o.start(t, u, u)
			return r.Status != http.StatusServiceUnavailable
		})
		switch {
		case r.Status == http.StatusOK && r.Call.ClientID == o.clients[u]:
		case r.Status == http.StatusConflict && r.Code == messages.CodeUserOnCall && r.Call != nil && r.Call.ClientID == o.clients[u]:
		default:
			t.Errorf("user %d after the outage: %d %s", u, r.Status, r.Raw)
		}
	}
	for u := range o.users {
		harness.Must(t, http.StatusOK)(o.end(t, u), nil)
	}
	if left := o.Statuses(t, true); len(left) != 0 {
		t.Errorf("after all calls ended, %d users are on a call", len(left))
	}
	select {
	case <-o.server.Done():
		t.Error("the server ended")
	default:
	}
}

// TestStoreStopped: with Postgres down, starts and ends are answered with 503
// and Retry-After, not after a hang; the process stays alive and says that it
// is not ready. When Postgres is back everything goes on without a restart.
func TestStoreStopped(t *testing.T) {
	o := newOutage(t)
	for range 2 {
		if err := o.postgres.Stop(pgtest.Immediate); err != nil {
			t.Fatal(err)
		}
		o.everybodyIsRefused(t, atOnce)
		o.everybodyIsRefused(t, atOnce)
		waitFor(t, readyLimit, "/readyz to say 503", func() bool {
			r, err := o.Do(t.Context(), http.MethodGet, "/readyz", nil)
			return err == nil && r.Status == http.StatusServiceUnavailable
		})
		r, err := o.Do(t.Context(), http.MethodGet, "/healthz", nil)
		if err != nil || r.Status != http.StatusOK {
			t.Errorf("/healthz without a store: %v, status %d", err, r.Status)
		}
		if err := o.postgres.Start(); err != nil {
			t.Fatal(err)
		}
		o.goesOn(t)
		o.held = harness.Must(t, http.StatusOK)(o.start(t, 0, 0), nil).Call
	}
}

// TestStorePaused: a Postgres that accepts and never answers is the worse
// outage. The first to meet it wait for the request timeout and no longer; soon
// after nobody waits.
func TestStorePaused(t *testing.T) {
	o := newOutage(t)
	if err := o.postgres.Pause(); err != nil {
		t.Fatal(err)
	}
	o.everybodyIsRefused(t, requestTimeout)
	o.everybodyIsRefused(t, atOnce)
	if err := o.postgres.Resume(); err != nil {
		t.Fatal(err)
	}
	o.goesOn(t)
}
