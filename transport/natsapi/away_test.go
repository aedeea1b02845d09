package natsapi

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// NATS is not there when the node starts, a backlog grows, and it comes.
func TestServerThatComesLater(t *testing.T) {
	t.Parallel()
	server := idleProcess(t, "")
	bus := open(t, configOf(t, server))
	if err := bus.Ready(t.Context()); err == nil {
		t.Error("ready without NATS")
	}
	outbox := &natstest.Outbox{}
	publishing(t, bus, outbox)
	events := calls(outbox, 10, 2)
	start(t, server)
	empty(t, outbox)
	if n := inOrder(t, stored(t, bus)); n != events {
		t.Errorf("%d events on the stream, want %d", n, events)
	}
	if err := bus.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

// nats-server is killed in the middle of publishing and started again with the
// same folder, over and over, while rows come in.
func TestServerKilledUnderLoad(t *testing.T) {
	server := process(t, "")
	bus := open(t, configOf(t, server))
	outbox := &natstest.Outbox{}
	p := publishing(t, bus, outbox)
	const clients, rounds = 100, 25
	events := 0
	for round := range rounds {
		for c := range clients {
			outbox.Add(natstest.Started(c, 2*round), natstest.Ended(c, 2*round))
			outbox.Add(natstest.Started(c, 2*round+1))
			outbox.Add(natstest.Ended(c, 2*round+1))
			events += 4
		}
		p.Wake()
		if round%5 != 2 {
			continue
		}
		before := outbox.Len()
		waitFor(t, 20*time.Second, "publishing is under way", func() bool { return outbox.Len() < before })
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		start(t, server)
	}
	empty(t, outbox)
	if events < 10_000 {
		t.Fatalf("only %d events", events)
	}
	if n := inOrder(t, stored(t, bus)); n != events {
		t.Errorf("%d events on the stream, want %d", n, events)
	}
}

// NATS is away while more than 10,000 rows pile up; then they drain by
// themselves.
func TestBacklogDrains(t *testing.T) {
	server := process(t, "")
	bus := open(t, configOf(t, server))
	outbox := &natstest.Outbox{}
	p := publishing(t, bus, outbox)
	outbox.Add(natstest.Started(1000, 0))
	empty(t, outbox)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	events := 1 + calls(outbox, 60, 100)
	backlog := outbox.Len()
	if backlog < 10_000 {
		t.Fatalf("a backlog of %d rows only", backlog)
	}
	start(t, server)
	began := time.Now()
	empty(t, outbox)
	t.Logf("%d rows in %s", backlog, time.Since(began))
	if n := inOrder(t, stored(t, bus)); n != events {
		t.Errorf("%d events on the stream, want %d", n, events)
	}
	halt(t, p)
	if p.limit > mostRows {
		t.Errorf("%d rows a pass", p.limit)
	}
}

// A server that is paused keeps its connections open and answers nothing. What
// was sent to it meanwhile may take effect when it goes on.
func TestServerPausedUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: it waits out what it does not hear; TestServerKilledUnderLoad breaks it too")
	}
	server := process(t, "")
	bus, other := open(t, configOf(t, server)), open(t, configOf(t, server))
	outbox := &natstest.Outbox{}
	p := publishing(t, bus, outbox)
	sink := newRecorder()
	following(t, other, sink)
	waitFor(t, 30*time.Second, "the feed is attached", func() bool { return !sink.isStale() })

	events := calls(outbox, 50, 20)
	p.Wake()
	waitFor(t, 20*time.Second, "publishing is under way", func() bool { n, _ := sink.counts(); return n > 0 })
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	paused := time.Now()
	waitFor(t, 20*time.Second, "the feed is stale", sink.isStale)
	if took := time.Since(paused); took > slack+2*time.Second {
		t.Errorf("the feed was stale after %s only", took)
	}
	events += callsFrom(outbox, 50, 20, 5)
	// Longer than an acknowledgement is waited for, so that it is sent again.
	waitFor(t, 20*time.Second, "the publisher has given up a pass", failing(p))
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	empty(t, outbox)
	if n := inOrder(t, stored(t, bus)); n != events {
		t.Errorf("%d events on the stream, want %d", n, events)
	}
	waitFor(t, 30*time.Second, "the feed has brought all", func() bool { n, _ := sink.counts(); return n >= events && !sink.isStale() })
}

// slack is added to what is promised, because the machine has much else to do.
const slack = 6 * time.Second

// Two nodes; NATS is killed for a while under load. The feeds say so at once,
// and agree within two seconds of its return.
func TestNodesAgreeAfterNATSWasAway(t *testing.T) {
	server := process(t, "")
	one, two := open(t, configOf(t, server)), open(t, configOf(t, server))
	outbox := &natstest.Outbox{}
	a, b := publishing(t, one, outbox), publishing(t, two, outbox)
	sinks := []*recorder{newRecorder(), newRecorder()}
	following(t, one, sinks[0])
	following(t, two, sinks[1])
	for _, sink := range sinks {
		waitFor(t, 30*time.Second, "the feed is attached", func() bool { return !sink.isStale() })
	}
	events := calls(outbox, 50, 1)
	a.Wake()
	b.Wake()
	empty(t, outbox)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	for _, sink := range sinks {
		waitFor(t, 20*time.Second, "the feed is stale", sink.isStale)
	}
	if took := time.Since(killed); took > slack+time.Second {
		t.Errorf("stale after %s only", took)
	}
	for i := range 3 { // what matters is the way back, not how fast a backlog drains
		events += callsFrom(outbox, 50, i+1, 1)
		a.Wake()
		b.Wake()
	}
	start(t, server)
	returned := time.Now()
	for _, sink := range sinks {
		waitFor(t, 20*time.Second, "the feed has brought all", func() bool { n, _ := sink.counts(); return n >= events && !sink.isStale() })
	}
	if took := time.Since(returned); took > slack+2*time.Second {
		t.Errorf("agreed after %s only", took)
	}
	for _, sink := range sinks {
		if n, resets := sink.counts(); n != events || resets != 1 {
			t.Errorf("%d events and %d resets, want %d and 1", n, resets, events)
		}
	}
}

// The end of the stream is lost, as by a loss of power, and its numbers go to
// other events.
func TestStreamThatLostItsEnd(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	publishing(t, bus, outbox)
	for c := range 3 {
		outbox.Add(natstest.Started(c, 0))
	}
	empty(t, outbox)
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	state := stream.CachedInfo().State
	r := &reader{Feed: bus.streamFeed(), to: newRecorder(), lastSeq: 2, lastID: natstest.Started(1, 0).ID}
	for _, c := range []struct {
		name     string
		position uint64
		id       string
		want     bool
	}{
		{"the same event", 2, natstest.Started(1, 0).ID, true},
		{"another event", 2, natstest.Ended(7, 0).ID, false},
		{"position unknown", 1, natstest.Started(1, 0).ID, true},
		{"beyond the end", 4, natstest.Started(1, 0).ID, false},
	} {
		r.lastID = c.id
		got, err := r.continues(t.Context(), stream, state, c.position)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(3)); err != nil {
		t.Fatal(err)
	}
	state.FirstSeq = 3
	if got, err := r.continues(t.Context(), stream, state, 1); err != nil || got {
		t.Errorf("deleted before it was read: %v, %v; want false", got, err)
	}
}
