package browser

import (
	"maps"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

const (
	outage = 30 * time.Second

	// agreeLimit is how soon after the return of NATS everybody must be told: within two
	// seconds, and the rest is for a machine that does much else. Who is not told finds out
	// when nodes compare what they know with the store, every half a minute.
	agreeLimit = 10 * time.Second
)

// TestTwoNodes: two nodes on one Postgres and one NATS. A start on one is seen
// on the other's page and stream. While NATS is away calls go on and the pages
// say that they may be stale; when it is back all agree, soon. The test is not
// parallel to others: how soon must not depend on what they are doing.
func TestTwoNodes(t *testing.T) {
	takesLong(t)
	nats := startNATS(t)
	database := pgtest.EmptyURL(t)
	one := newWorldOn(t, database, "--nats-url", nats.URL())
	two := newWorldOn(t, database, "--nats-url", nats.URL())
	x, y := one.clients[0], one.clients[1]
	left, right := one.browserOf(ana), two.browserOf(ben)
	stream := two.events(cleo)

	left.click(button("Call " + x.Name))
	left.untilPanel(x)
	right.untilRow(x, "taken")
	stream.until("call.started", x)

	if took := outageAndReturn(t, nats, left, right, one, two); took > agreeLimit {
		t.Errorf("all agree %v after the return of NATS, want %v at most", took, agreeLimit)
	}
	stream.until("call.started", y)
}

// outageAndReturn kills NATS for a while, under load and while Ana goes on from
// the first client to the second, and returns how long after its return all
// agree.
func outageAndReturn(t *testing.T, nats *natstest.Server, left, right *page, one, two *world) time.Duration {
	t.Helper()
	x, y, z := one.clients[0], one.clients[1], one.clients[2]
	if err := nats.Kill(); err != nil {
		t.Fatal(err)
	}
	load := startLoad(t, one, two)
	left.untilStale("server")
	right.untilStale("server")
	right.untilSaid("[data-testid=connection]", "Possibly stale.")
	left.click(button("End call"))
	left.untilNoPanel()
	left.click(button("Call " + y.Name))
	left.untilPanel(y)
	if r := two.as(ben).Availability(t, y.ID); *r.Available {
		t.Error("without NATS the other node says that a client who is being called is free")
	}
	calls := load.finish(outage)
	agreed := map[messages.UserID]messages.ClientID{one.personID(ana): y.ID, one.personID(cleo): z.ID}

	if err := nats.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	for _, w := range []*world{one, two} {
		within(t, patience, "the nodes to agree", func() bool { return maps.Equal(w.onCall(), agreed) })
	}
	right.untilStale("")
	right.untilRow(y, "taken")
	right.untilRow(x, "free")
	right.untilRow(z, "taken")
	left.untilStale("")
	took := time.Since(back)
	t.Logf("%d calls while NATS was away; all agree %v after its return", calls, took.Round(time.Millisecond))
	return took
}

func startNATS(t *testing.T) *natstest.Server {
	t.Helper()
	nats, err := natstest.NewServer(tools.nats, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nats.Kill() })
	if err := nats.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return nats
}

// onCall is whom everybody calls, as the node's read model has it.
func (w *world) onCall() map[messages.UserID]messages.ClientID {
	w.t.Helper()
	calls := map[messages.UserID]messages.ClientID{}
	for _, u := range w.as(ana).Statuses(w.t, true) {
		calls[u.ID] = *u.CurrentCallClientID
	}
	return calls
}
