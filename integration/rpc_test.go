package integration

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/client"
	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// TestRequestsOverNATS: a start over NATS and one over HTTP stand in each
// other's way, and a retry with the same key finds its answer after a restart.
func TestRequestsOverNATS(t *testing.T) {
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		signIn := newDialer(t, d, 2, 2)
		address := harness.FreeAddr(t)
		s := d.Serve(t, "--nats-listen", address)
		s.WaitReady(readyLimit)
		web := signIn(s)
		user, other := web.users[0].String(), web.users[1].String()
		x, y := web.clients[0].String(), web.clients[1].String()
		nc, dibs := overNATS(t, address)

		call, err := dibs.Start(t.Context(), user, x, client.IdempotencyKey("k"))
		if err != nil {
			t.Fatal(err)
		}
		if r := web.start(t, 1, 0); r.Code != messages.CodeClientBeingCalled || r.Caller == nil || r.Caller.ID.String() != user {
			t.Errorf("over HTTP: %s", r.Raw)
		}
		var e *client.Error
		if _, err := dibs.Start(t.Context(), other, x); !errors.As(err, &e) || e.Code != client.CodeClientBeingCalled || e.Caller.ID != user {
			t.Errorf("over NATS: %v", err)
		}
		if _, err := dibs.Start(t.Context(), user, y); !errors.As(err, &e) || e.Code != client.CodeUserOnCall || e.Call.ID != call.ID {
			t.Errorf("a second call: %v", err)
		}
		if _, err := dibs.Start(t.Context(), user, y, client.IdempotencyKey("k")); !errors.Is(err, client.CodeKeyReused) {
			t.Errorf("the key for another client: %v", err)
		}
		if code, _ := s.Terminate(readyLimit); code != 0 {
			t.Errorf("exit code %d", code)
		}
		again := d.ServeAt(t, s.Addr, "--nats-listen", address)
		again.WaitReady(readyLimit)
		waitConnected(t, nc)
		if replay, err := dibs.Start(t.Context(), user, x, client.IdempotencyKey("k")); err != nil || replay.ID != call.ID || replay.Token != call.Token {
			t.Errorf("the same key after a restart: %+v, %v; first %+v", replay, err, call)
		}
		if err := dibs.End(t.Context(), call, client.Outcome{}); err != nil {
			t.Error(err)
		}
		if r := web.start(t, 1, 0); r.Status != http.StatusOK {
			t.Errorf("after the end: %s", r.Raw)
		}
	})
}

func overNATS(t testing.TB, address string) (*nats.Conn, *client.Client) {
	t.Helper()
	nc, err := nats.Connect(address, nats.Timeout(readyLimit), nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	dibs, err := client.OverNATS(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, dibs
}

func waitConnected(t *testing.T, nc *nats.Conn) {
	t.Helper()
	waitFor(t, readyLimit, "a connection to NATS", nc.IsConnected)
}

// TestRequestsOverNATSCanBeTurnedOff: with --nats-rpc=false nobody answers.
func TestRequestsOverNATSCanBeTurnedOff(t *testing.T) {
	d := onSQLite(t)
	address := harness.FreeAddr(t)
	d.Serve(t, "--nats-listen", address, "--nats-rpc=false").WaitReady(readyLimit)
	nc, _ := overNATS(t, address)
	// The library would ask again until its time is up, and then it depends on the moment
	// what it says. NATS knows at once.
	if _, err := nc.Request("dibs.rpc.availability", []byte("{}"), readyLimit); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("%v", err)
	}
}

// TestHeldClaim: a claim is held over a restart of the server, everybody who
// watches sees it, and an administrator can take it away.
func TestHeldClaim(t *testing.T) {
	const lease = 15 * time.Second // longer than a restart takes, also on a machine that has much else to do
	d := onSQLite(t)
	signIn := newDialer(t, d, 1, 1)
	importPeople(t, d, person{"boss@example.org", "Adele", "Adams", "admin", password})
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	web := signIn(s)
	// Until then a snapshot may stand for events.
	waitFor(t, readyLimit, "the server to hear of events", func() bool { return metric(t, s, "dibs_live_stale") == 0 })
	dibs, err := client.New(s.URL, client.APIKey(serviceKey(t, d)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dibs.Close)
	seen := make(chan client.Event, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for e, err := range dibs.Watch(ctx) {
			if err != nil {
				t.Error(err)
				return
			}
			seen <- e
		}
	}()
	t.Cleanup(func() { cancel(); <-watched })
	awaitEvent(t, seen, client.Snapshot)

	held, err := dibs.Hold(t.Context(), web.users[0].String(), web.clients[0].String(), client.Lease(lease))
	if err != nil {
		t.Fatal(err)
	}
	if e := awaitEvent(t, seen, client.CallStarted); e.Call.ID != held.Call().ID || e.User.FirstName != "Agent000" {
		t.Errorf("seen: %+v", e)
	}
	s.Kill()
	again := d.ServeAt(t, s.Addr)
	again.WaitReady(readyLimit)
	if e := awaitEvent(t, seen, client.Snapshot); len(e.Calls) != 1 || e.Calls[0].Call.ID != held.Call().ID {
		t.Errorf("after the restart: %+v", e)
	}
	before := held.Call().LeaseExpiresAt
	waitFor(t, readyLimit, "a renewal", func() bool { return held.Call().LeaseExpiresAt.After(before) })
	if held.Context().Err() != nil {
		t.Fatalf("lost: %v", context.Cause(held.Context()))
	}
	boss := harness.NewClient(t, s.URL, "").Login(t, "boss@example.org", password)
	harness.Must(t, http.StatusOK)(boss.Do(t.Context(), http.MethodDelete, "/api/user-status/"+web.users[0].String()+"/call", map[string]string{"reason": "a test"}))
	select {
	case <-held.Context().Done():
	case <-time.After(readyLimit):
		t.Fatal("the holder does not learn of it")
	}
	if e := awaitEvent(t, seen, client.CallEnded); e.Reason != "force_released" {
		t.Errorf("seen: %+v", e)
	}
	if err := held.End(t.Context(), client.Outcome{}); !errors.Is(err, client.CodeCallOver) {
		t.Errorf("its end: %v", err)
	}
}

// TestHeldClaimOverNATS: a claim that is held over NATS outlives the server, whose
// NATS dies and comes back with it.
func TestHeldClaimOverNATS(t *testing.T) {
	d := onSQLite(t)
	signIn := newDialer(t, d, 2, 1)
	address := harness.FreeAddr(t)
	s := d.Serve(t, "--nats-listen", address)
	s.WaitReady(readyLimit)
	web := signIn(s)
	nc, dibs := overNATS(t, address)
	held, err := dibs.Hold(t.Context(), web.users[0].String(), web.clients[0].String(), client.Lease(30*time.Second))
	must(t, err)
	for range 2 {
		s.Kill()
		s = d.ServeAt(t, s.Addr, "--nats-listen", address)
		s.WaitReady(readyLimit)
		waitConnected(t, nc)
		before := held.Call().LeaseExpiresAt
		waitFor(t, readyLimit, "a renewal", func() bool { return held.Call().LeaseExpiresAt.After(before) })
		if held.Context().Err() != nil {
			t.Fatalf("lost: %v", context.Cause(held.Context()))
		}
	}
	if _, err := dibs.Start(t.Context(), web.users[1].String(), web.clients[0].String()); !errors.Is(err, client.CodeClientBeingCalled) {
		t.Errorf("somebody else: %v", err)
	}
	must(t, held.End(t.Context(), client.Outcome{Disposition: "sale"}))
	if finished := finishedIn(t, openStore(t, d.Store)); len(finished) != 1 {
		t.Errorf("%d calls were made", len(finished))
	}
}

func awaitEvent(t *testing.T, seen <-chan client.Event, kind client.EventType) client.Event {
	t.Helper()
	for limit := time.After(readyLimit); ; {
		select {
		case e := <-seen:
			if e.Type == kind {
				return e
			}
		case <-limit:
			t.Fatalf("no %s was seen", kind)
		}
	}
}

// TestDialerExample: the example calls its clients, one after another, and leaves
// out the one whom somebody else is calling. It has less than 30 lines.
func TestDialerExample(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "examples", "dialer", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(source)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			lines++
		}
	}
	if lines >= 30 {
		t.Errorf("the example has %d lines", lines)
	}
	bin, err := harness.Build(t.Context(), "..", "./examples/dialer", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := onSQLite(t)
	signIn := newDialer(t, d, 2, 3)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	web := signIn(s)
	web.start(t, 1, 1) // the second client
	args := []string{web.users[0].String()}
	for _, c := range web.clients {
		args = append(args, c.String())
	}
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Env = append(os.Environ(), "DIBS_URL="+s.URL, "DIBS_KEY="+serviceKey(t, d))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := string(out)
	if strings.Count(said, "calling ") != 2 || !strings.Contains(said, "client_being_called: This client is already being called by Agent001 Smith") {
		t.Errorf("it said\n%s", said)
	}
	if finished := finishedIn(t, openStore(t, d.Store)); len(finished) != 2 {
		t.Errorf("%d calls were made", len(finished))
	}
}
