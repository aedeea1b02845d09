package integration

import (
	"database/sql"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// TestKilledBeforePublishing kills the server with SIGKILL again and again
// between the commit of calls and their publication, and then finds every event
// of every committed call on the stream (I7). In two rounds of three NATS is
// gone or paused while there is load, so that what is committed cannot have been
// published when the server dies; in the third the kill comes in the middle of
// publishing.
func TestKilledBeforePublishing(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	bin, err := natstest.Build(t.Context(), t.TempDir())
	must(t, err)
	onStores(t, func(t *testing.T, d harness.Dibs) {
		nats := startNATS(t, bin)
		k := newKiller(t, d, "--nats-url", nats.URL())
		for round := 0; round < rounds && !t.Failed(); round++ {
			switch round % 3 {
			case 0:
				must(t, nats.Kill())
				k.mustWait(k.kill())
				k.restart(func() { must(t, nats.Start(t.Context())) })
			case 1:
				must(t, nats.Pause())
				k.mustWait(k.kill())
				must(t, nats.Resume())
				k.restart(nil)
			case 2:
				_, waiting := k.kill()
				t.Logf("killed while publishing: %d events are not cleared", waiting)
				k.restart(nil)
			}
		}
		k.checkStream(nats.URL())
	})
}

// TestKilledWithTheEmbeddedNATS does the same with the NATS server inside the
// process, which dies with it. Rounds go on until enough of the kills have met
// events that were committed and not cleared yet.
func TestKilledWithTheEmbeddedNATS(t *testing.T) {
	const most = 100
	hits := 5
	if testing.Short() {
		hits = 1
	}
	onStores(t, func(t *testing.T, d harness.Dibs) {
		listen := harness.FreeAddr(t)
		k := newKiller(t, d, "--nats-listen", listen)
		met, rounds := 0, 0
		for ; met < hits && !t.Failed(); rounds++ {
			if rounds == most {
				t.Fatalf("%d of %d kills met events that wait, want %d", met, rounds, hits)
			}
			if _, waiting := k.kill(); waiting > 0 {
				met++
			}
			k.restart(nil)
		}
		t.Logf("%d of %d kills met events that were not cleared", met, rounds)
		k.checkStream("nats://" + listen)
	})
}

// TestKilledWhileNobodyHears kills a server whose NATS nobody can reach. Its events wait in the
// outbox, all of them, and are on the stream (I7) once it is started with a NATS that others can
// reach: one of its own with a port, or one at a URL.
func TestKilledWhileNobodyHears(t *testing.T) {
	bin, err := natstest.Build(t.Context(), t.TempDir())
	must(t, err)
	onStores(t, func(t *testing.T, d harness.Dibs) {
		k := newKiller(t, d)
		all := 0
		for range 2 {
			acknowledged, waiting := k.kill()
			all += acknowledged
			k.mustWait(all, waiting)
			k.restart(nil)
		}
		k.stop()
		listen := harness.FreeAddr(t)
		k.args = []string{"--nats-listen", listen}
		k.restart(nil)
		k.checkStream("nats://" + listen)

		k.stop()
		k.args = nil
		k.restart(nil)
		k.mustWait(k.kill())
		waiting := k.waitingIDs()
		nats := startNATS(t, bin)
		k.args = []string{"--nats-url", nats.URL()}
		k.restart(nil)
		waitFor(t, drainLimit, "the outbox to be empty", func() bool { return k.waiting() == 0 })
		told := map[string]bool{}
		for _, p := range readStream(t, nats.URL()) {
			told[p.ID] = true
		}
		for _, id := range waiting {
			if !told[id] {
				t.Errorf("I7 is broken: %s waited, and is not on the other stream", id)
			}
		}
	})
}

// onStores is onEachStore, with -short SQLite alone.
func onStores(t *testing.T, test func(t *testing.T, d harness.Dibs)) {
	if testing.Short() {
		t.Run("sqlite", func(t *testing.T) { test(t, onSQLite(t)) })
		return
	}
	onEachStore(t, test)
}

func startNATS(t *testing.T, bin string) *natstest.Server {
	t.Helper()
	nats, err := natstest.NewServer(bin, t.TempDir())
	must(t, err)
	t.Cleanup(func() { _ = nats.Kill() })
	must(t, nats.Start(t.Context()))
	return nats
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// killer is a server that is killed under load, round after round.
type killer struct {
	t      *testing.T
	dibs   harness.Dibs
	args   []string
	server *harness.Server
	db     *sql.DB
	book   *ledger
	agents []*agent
	load   load
}

func newKiller(t *testing.T, d harness.Dibs, args ...string) *killer {
	t.Helper()
	connect := newDialer(t, d, 32, 24) // few clients, so that each has a long history
	k := &killer{t: t, dibs: d, args: args, book: newLedger()}
	k.server = d.Serve(t, args...)
	k.server.WaitReady(readyLimit)
	team := connect(k.server)
	for _, u := range team.users {
		k.agents = append(k.agents, &agent{user: u})
	}
	k.load = load{ledger: k.book, clients: team.clients, api: team.Client}
	k.db = openStore(t, d.Store)
	return k
}

// kill kills the server under load. It returns how many starts and ends were
// acknowledged in this round, and how many events wait in the outbox now.
func (k *killer) kill() (acknowledged, waiting int) {
	k.t.Helper()
	before := k.book.acknowledged.Load()
	killUnderLoad(k.t, k.server, k.load, k.agents)
	acknowledged = int(k.book.acknowledged.Load() - before)
	waitForOldTransactions(k.t, k.dibs.Store, k.db)
	return acknowledged, k.waiting()
}

// stop ends the server without a kill.
func (k *killer) stop() {
	k.t.Helper()
	if code, _ := k.server.Terminate(stopLimit); code != 0 {
		k.t.Fatalf("the server ended with %d\n%s", code, k.server.Stderr())
	}
}

// mustWait checks that the kill came before anything of its round could be
// published.
func (k *killer) mustWait(acknowledged, waiting int) {
	k.t.Helper()
	k.t.Logf("killed without NATS: %d starts and ends acknowledged, %d events wait", acknowledged, waiting)
	if waiting < acknowledged {
		k.t.Errorf("%d starts and ends were acknowledged while nothing could be published, and %d events wait", acknowledged, waiting)
	}
}

// waiting counts the events in the outbox.
func (k *killer) waiting() int { k.t.Helper(); return len(k.waitingIDs()) }

// waitingIDs are the ids of the events in the outbox.
func (k *killer) waitingIDs() (ids []string) {
	k.t.Helper()
	rows, err := k.db.QueryContext(k.t.Context(), "SELECT events FROM outbox")
	must(k.t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var stored []byte
		must(k.t, rows.Scan(&stored))
		events, err := persistence.DecodeEvents(stored)
		must(k.t, err)
		for i := range events {
			ids = append(ids, events[i].ID)
		}
	}
	must(k.t, rows.Err())
	return ids
}

// restart starts the server again, does what is to be done meanwhile, and lets
// everybody find out what has become of their last request.
func (k *killer) restart(meanwhile func()) {
	k.t.Helper()
	stored := claimsIn(k.t, k.db)
	for _, a := range k.agents {
		a.settle(k.t, k.book, stored)
	}
	k.server = k.dibs.ServeAt(k.t, k.server.Addr, k.args...)
	if meanwhile != nil {
		meanwhile()
	}
	k.server.WaitReady(readyLimit)
}

// committed returns the ids of the events that there must be, by what the store
// knows of calls.
func (k *killer) committed() map[string]bool {
	k.t.Helper()
	ids := map[string]bool{}
	for call := range finishedIn(k.t, k.db) {
		ids[messages.EventID(call, messages.EventCallStarted)] = true
		ids[messages.EventID(call, messages.EventCallEnded)] = true
	}
	for _, c := range claimsIn(k.t, k.db) {
		ids[messages.EventID(c.call, messages.EventCallStarted)] = true
	}
	return ids
}
