package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// toldOf is an event of a telephone system, which knows no more than who is on the line.
func toldOf(t *testing.T, kind messages.EventType, id, ref string, at time.Time, u messages.UserID, c messages.ClientID) report {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": reportSource, "type": kind,
		"data": map[string]any{"user_id": u, "client_id": c, "call_ref": ref, "occurred_at": at, "disposition": "sale"},
	})
	must(t, err)
	return report{"dibs.ingest." + string(kind), body}
}

// TestClaimedCallsAreReported: Ana clicks, and her telephone system reports the call by
// a name of its own. It is her call which that is about, also after a crash; what is not
// about it does nothing to it.
func TestClaimedCallsAreReported(t *testing.T) {
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		signIn := newDialer(t, d, 2, 2)
		address := harness.FreeAddr(t)
		s := d.Serve(t, "--nats-listen", address)
		s.WaitReady(readyLimit)
		web, b := signIn(s), connectNATS(t, "nats://"+address)
		const ana, ben, x, y = 0, 1, 0, 1
		began, ended := messages.EventCallStarted, messages.EventCallEnded
		tell := func(kind messages.EventType, ref string, c int, after time.Duration) {
			t.Helper()
			id := fmt.Sprintf("%s/%s/%d", kind, ref, after)
			b.publish(t, []report{toldOf(t, kind, id, ref, time.Now().Add(after), web.users[ana], web.clients[c])}, nil)
			waitFor(t, readyLimit, "the event to be worked off", func() bool { return b.left(t) == 0 })
		}
		clicks := func(u, c int) messages.Call {
			t.Helper()
			r := web.start(t, u, c)
			if r.Status != http.StatusOK {
				t.Fatalf("a start: %s", r.Raw)
			}
			return *r.Call
		}
		wantOn := func(call *messages.Call) { // nil: on none
			t.Helper()
			on := web.Statuses(t, true)
			if call == nil && len(on) == 0 || call != nil && len(on) == 1 && on[0].CurrentCallID != nil && *on[0].CurrentCallID == call.ID {
				return
			}
			t.Fatalf("on a call: %+v, want %+v", on, call)
		}

		first := clicks(ana, x)
		tell(began, "1", x, 0)
		tell(began, "1", x, 0) // the same event again
		wantOn(&first)
		s.Kill()
		s = d.ServeAt(t, s.Addr, "--nats-listen", address)
		s.WaitReady(readyLimit)
		b = connectNATS(t, "nats://"+address)
		tell(began, "1", x, time.Second) // another one
		wantOn(&first)
		tell(ended, "1", x, time.Second)
		wantOn(nil)
		web.end(t, ana) // on the page, late

		early := clicks(ana, x)
		tell(ended, "2", x, time.Second)
		wantOn(&early)
		tell(began, "2", x, 0)
		wantOn(nil)

		earlier := clicks(ana, x) // and what is told late of a call before it
		tell(began, "3", x, -time.Hour)
		tell(ended, "3", x, -time.Minute)
		wantOn(&earlier)
		tell(began, "4", x, 0)
		tell(began, "5", y, time.Second) // its next one: the call before is over
		if on := web.Statuses(t, true); len(on) != 1 || *on[0].CurrentCallClientID != web.clients[y] {
			t.Fatalf("after a later call of the source: %+v", on)
		}
		tell(ended, "5", y, time.Minute)
		wantOn(nil)

		theirs := clicks(ben, x) // somebody else's is refused as ever
		tell(began, "6", x, 0)
		wantOn(&theirs)
		web.end(t, ben)

		db := openStore(t, d.Store)
		for call, want := range map[messages.CallID]string{
			first.ID: "completed/sale", early.ID: "completed/", earlier.ID: "superseded/", theirs.ID: "completed/",
		} {
			if got := endOf(t, db, call); got != want {
				t.Errorf("call %s: %s, want %s", call, got, want)
			}
		}
		waitFor(t, readyLimit, "everything to be published", func() bool { return len(b.published(t)[ended]) == 5 })
		all := b.published(t)
		if len(all[began]) != 5 || len(all[ended]) != 5 || len(all[messages.EventCallRefused]) != 1 {
			t.Errorf("published: %v", all)
		}
	})
}

// endOf is how a call ended: reason/disposition.
func endOf(t *testing.T, db *sql.DB, call messages.CallID) string {
	t.Helper()
	var reason, disposition string
	must(t, db.QueryRowContext(t.Context(), "SELECT reason, disposition FROM calls WHERE id = $1", call.String()).Scan(&reason, &disposition))
	return reason + "/" + disposition
}

// TestClaimedCallsAreReportedOnce: two nodes on one Postgres take what a telephone system
// says of calls that were all claimed by requests to either of them, with duplicates and
// in a wrong order, and each is killed once. Every call ends by what is said of it, no
// other begins, and nobody is told to hang up.
func TestClaimedCallsAreReportedOnce(t *testing.T) {
	for name, args := range map[string][]string{"shared": nil, "cluster": {"--cluster"}} {
		t.Run(name, func(t *testing.T) { claimedAndReported(t, args) })
	}
}

func claimedAndReported(t *testing.T, args []string) {
	calls := 2_000
	if testing.Short() {
		calls = 300
	}
	bin, err := natstest.Build(t.Context(), t.TempDir())
	must(t, err)
	server := startNATS(t, bin)
	d := harness.Dibs{Binary: tools.dibs, Store: harness.Store{DataDir: t.TempDir(), DatabaseURL: pgtest.EmptyURL(t)}}
	d.MustRun(t, "migrate", "up")
	key := serviceKey(t, d)
	db := openStore(t, d.Store)
	s := newSwitchboard(t, db, calls)
	nodes, apis := [2]*harness.Server{}, [2]*harness.Client{}
	serve := func(i int, addr string) {
		mine := append([]string{"--nats-url", server.URL()}, args...)
		if args != nil {
			mine = append(mine, "--node-name", fmt.Sprintf("n%d", i))
		}
		if addr == "" {
			nodes[i] = d.Serve(t, mine...)
		} else {
			nodes[i] = d.ServeAt(t, addr, mine...)
		}
	}
	for i := range nodes {
		serve(i, "")
	}
	for i := range nodes {
		nodes[i].WaitReady(readyLimit)
		apis[i] = harness.NewClient(t, nodes[i].URL, key).Patient(storeAway)
	}
	b := connectNATS(t, server.URL())
	waitFor(t, readyLimit, "the ingest stream", func() bool {
		_, err := b.Stream(context.Background(), "DIBS_INGEST")
		return err == nil
	})

	var events []report
	for n := range calls {
		u, c := messages.UserID{UUID: s.users[n]}, messages.ClientID{UUID: s.clients[n]}
		harness.Must(t, http.StatusOK)(apis[n%2].Put(t.Context(), harness.Change{
			Action: "start_call", UserID: u.String(), ClientID: c.String(),
		}))
		now, ref := time.Now(), fmt.Sprintf("trunk/%d", n)
		events = append(events,
			toldOf(t, messages.EventCallStarted, fmt.Sprintf("s%d", n), ref, now, u, c),
			toldOf(t, messages.EventCallEnded, fmt.Sprintf("e%d", n), ref, now.Add(time.Minute), u, c))
		if n%3 == 0 {
			events = append(events, toldOf(t, messages.EventCallStarted, fmt.Sprintf("again%d", n), ref, now.Add(time.Second), u, c))
		}
	}
	claimed := claimsIn(t, db)
	for i := range len(events) {
		if rand.IntN(5) == 0 {
			events = append(events, events[i])
		}
	}
	for i := range events {
		j := min(i+rand.IntN(20), len(events)-1)
		events[i], events[j] = events[j], events[i]
	}
	kill := func(i int) func() { return func() { nodes[i].Kill(); serve(i, nodes[i].Addr) } }
	b.publish(t, events, map[int]func(){30: kill(0), 70: kill(1)})
	waitFor(t, ingestLimit, "all events to be worked off", func() bool { return b.left(t) == 0 })

	if left := claimsIn(t, db); len(left) != 0 {
		t.Errorf("%d calls are left behind, of %d", len(left), calls)
	}
	finished := finishedIn(t, db)
	for _, c := range claimed {
		if finished[c.call] != 1 {
			t.Errorf("call %s finished %d times", c.call, finished[c.call])
		}
	}
	if len(claimed) != calls || len(finished) != calls {
		t.Errorf("%d calls were claimed, and %d have ended, want %d", len(claimed), len(finished), calls)
	}
	for _, n := range nodes {
		n.WaitReady(readyLimit)
		n.Terminate(readyLimit)
	}
	all := b.published(t)
	if len(all[messages.EventCallStarted]) != calls || len(all[messages.EventCallEnded]) != calls || len(all[messages.EventCallRefused]) != 0 {
		t.Errorf("published: %d starts, %d ends, %d refusals", len(all[messages.EventCallStarted]), len(all[messages.EventCallEnded]), len(all[messages.EventCallRefused]))
	}
}
