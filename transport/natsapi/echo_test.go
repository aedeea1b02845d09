package natsapi

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/live"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// hearing runs the feed that the bus gives until stop is called.
func hearing(t *testing.T, bus *Bus, sink *recorder) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := bus.NewFeed().Run(ctx, sink); !errors.Is(err, context.Canceled) {
			t.Errorf("the feed ended: %v", err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// A node that is alone hears what it published without reading it again, in order;
// what was published while it did not listen is a gap.
func TestNodeThatIsAloneHearsItself(t *testing.T) {
	bus, outbox := open(t, inProcess(t, t.TempDir())), &natstest.Outbox{}
	p := publishing(t, bus, outbox)
	calls(outbox, 2, 1)
	empty(t, outbox)

	sink := newRecorder()
	stop := hearing(t, bus, sink)
	attached(t, sink)
	events := callsFrom(outbox, 3, 1, 2)
	p.Wake()
	brought(t, sink, events)
	last := map[messages.ClientID]messages.EventType{}
	for _, e := range sink.events {
		if last[e.Call.ClientID] == e.Type {
			t.Fatalf("%s comes after the same of client %s", e.Type, e.Call.ClientID)
		}
		last[e.Call.ClientID] = e.Type
	}
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Consumers; n != 0 {
		t.Errorf("%d consumers of the stream, want none", n)
	}
	stop()

	stop = hearing(t, bus, sink) // nothing was missed
	attached(t, sink)
	stop()
	if _, resets := sink.counts(); resets != 1 {
		t.Errorf("%d resets, want the first alone", resets)
	}
	callsFrom(outbox, 1, 3, 1)
	empty(t, outbox)
	hearing(t, bus, sink)
	waitFor(t, 10*time.Second, "a reset", func() bool { _, resets := sink.counts(); return resets == 2 })
	if n, _ := sink.counts(); n != events {
		t.Errorf("%d events, want %d", n, events)
	}
}

func TestNodeThatIsAloneIsStaleWithoutItsServer(t *testing.T) {
	bus, sink := open(t, inProcess(t, t.TempDir())), newRecorder()
	hearing(t, bus, sink)
	attached(t, sink)
	bus.link.set(false)
	waitFor(t, 10*time.Second, "the feed is stale", sink.isStale)
	bus.link.set(true)
	attached(t, sink)
}

// Where nobody else can listen nothing is published, and a feed has nothing to bring.
func TestHeard(t *testing.T) {
	quiet := inProcess(t, t.TempDir())
	quiet.Embedded.Listen = ""
	quiet.Stream.MaxAge, quiet.Stream.MaxBytes = 0, 0
	bus := open(t, quiet)
	if age, bytes := bus.EventLimits(); age != DefaultMaxAge || bytes != DefaultMaxBytes { // not that everything is too old
		t.Errorf("events are kept for %s, up to %d bytes", age, bytes)
	}
	if _, local := bus.NewFeed().(live.LocalFeed); bus.Heard() || !local {
		t.Errorf("without a port somebody hears it: %v; the feed is a %T", bus.Heard(), bus.NewFeed())
	}
	node := quiet
	node.Embedded.Routes = RoutesConfig{Name: "a", Listen: "127.0.0.1:0"}
	for what, cfg := range map[string]Config{
		"a port": inProcess(t, t.TempDir()), "a server by URL": {URL: "nats://127.0.0.1:1"}, "a cluster": node,
	} {
		b := &Bus{cfg: cfg, embedded: &Embedded{}}
		if cfg.URL != "" {
			b.embedded = nil
		}
		if !b.Heard() {
			t.Errorf("with %s nobody hears it", what)
		}
	}
}

// Who has a part in the store's events with others reads them from the stream.
func TestOthersAreHeardFromTheStream(t *testing.T) {
	bus := open(t, configOf(t, process(t, "")))
	if _, ok := bus.NewFeed().(*Feed); !ok {
		t.Errorf("with a server by URL the feed is a %T", bus.NewFeed())
	}
}

// What came back from the stream under an id that we sent is not decoded.
func TestFeedKnowsWhatWeSent(t *testing.T) {
	bus, sink := open(t, configOf(t, process(t, ""))), newRecorder()
	if err := ensureStream(t.Context(), bus.js, bus.cfg.Stream, bus.cfg.Log); err != nil {
		t.Fatal(err)
	}
	following(t, bus, sink)
	attached(t, sink)
	ours := natstest.Started(1, 0)
	bus.own.sends(ours.ID, &ours)
	for i := range 2 {
		msg := &nats.Msg{Subject: SubjectPrefix + "call.started.x.y", Data: []byte("no event"), Header: nats.Header{}}
		msg.Header.Set(jetstream.MsgIDHeader, []string{ours.ID, "another"}[i])
		if _, err := bus.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	outbox := &natstest.Outbox{}
	outbox.Add(natstest.Started(2, 0))
	publishing(t, bus, outbox)
	brought(t, sink, 2)
	if sink.events[0].ID != ours.ID || sink.events[1].ID != natstest.Started(2, 0).ID || sink.pos.Seq != 3 {
		t.Errorf("events %s and %s, at %v", sink.events[0].ID, sink.events[1].ID, sink.pos)
	}
}

func TestOwnEventsAreForgotten(t *testing.T) {
	o := newOwn()
	e := make([]messages.Event, mostOwn+1)
	ids := make([]string, len(e))
	for i := range e {
		ids[i] = natstest.Started(i, 0).ID
		o.sends(ids[i], &e[i])
	}
	if o.take(ids[0]) != nil || o.take(ids[1]) != &e[1] || o.take(ids[1]) != nil || o.take(ids[mostOwn]) != &e[mostOwn] {
		t.Error("want the last ones, each once")
	}
	if n := len(o.sent); n != mostOwn-2 {
		t.Errorf("%d are remembered", n)
	}
	var none *own
	none.sends("x", &e[0])
	if none.take("x") != nil {
		t.Error("nothing is remembered for nobody")
	}
}

var _ live.Sink = (*recorder)(nil)
