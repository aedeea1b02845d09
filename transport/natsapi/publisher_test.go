package natsapi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// calls adds a row for the start and one for the end of each of n calls of each
// client, the clients taking turns.
func calls(outbox *natstest.Outbox, clients, n int) (events int) {
	return callsFrom(outbox, clients, 0, n)
}

// callsFrom is calls, beginning with another call than the first.
func callsFrom(outbox *natstest.Outbox, clients, first, n int) (events int) {
	for i := first; i < first+n; i++ {
		for c := range clients {
			outbox.Add(natstest.Started(c, i))
		}
		for c := range clients {
			outbox.Add(natstest.Ended(c, i))
		}
	}
	return 2 * clients * n
}

// failing reports whether passes have failed since the last call.
func failing(p *Publisher) func() bool {
	before := testutil.ToFloat64(p.metrics.failures)
	return func() bool { return testutil.ToFloat64(p.metrics.failures) > before }
}

func empty(t *testing.T, outbox *natstest.Outbox) {
	t.Helper()
	waitFor(t, 60*time.Second, "the outbox is empty", func() bool { return outbox.Len() == 0 })
}

func TestEventsLeaveTheOutboxForTheStream(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	outbox.Add(natstest.Started(1, 0), natstest.Started(2, 0)) // left by a process that died before it published
	p := publishing(t, bus, outbox)
	empty(t, outbox)
	outbox.Add(natstest.Ended(1, 0), natstest.Ended(2, 0))
	p.Wake()
	empty(t, outbox)

	msgs := stored(t, bus)
	if n := inOrder(t, msgs); n != 4 {
		t.Fatalf("%d events on the stream, want 4", n)
	}
	if id := msgs[0].Header.Get(jetstream.MsgIDHeader); id != natstest.Started(1, 0).ID {
		t.Errorf("message id %q", id)
	}
	if n := testutil.ToFloat64(p.metrics.published.WithLabelValues("call.started")); n != 2 {
		t.Errorf("%v starts counted, want 2", n)
	}
}

// A wake must not wait for the poll.
func TestWakePublishesAtOnce(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	p, err := bus.newPublisher(outbox, timing{poll: time.Hour, count: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	p.Start()
	defer halt(t, p)
	for i := range 20 {
		outbox.Add(natstest.Started(i, 0))
		p.Wake()
		empty(t, outbox)
	}
}

// A process that dies after publishing and before clearing leaves the row, and
// the next one publishes it again.
func TestPublishedAgainIsDroppedAsDuplicate(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	var dead atomic.Bool
	dead.Store(true)
	tried := make(chan struct{}, 1000)
	outbox.OnClear = func([]int64) error {
		if dead.Load() {
			tried <- struct{}{}
			return errors.New("the process is dead")
		}
		return nil
	}
	events := calls(outbox, 10, 1)
	p := publishing(t, bus, outbox)
	<-tried
	halt(t, p)
	if outbox.Len() == 0 {
		t.Fatal("the outbox is empty")
	}

	dead.Store(false)
	bus.cfg.Metrics = prometheus.NewRegistry()
	p = publishing(t, bus, outbox)
	empty(t, outbox)
	if n := inOrder(t, stored(t, bus)); n != events {
		t.Errorf("%d events on the stream, want %d", n, events)
	}
	if testutil.ToFloat64(p.metrics.duplicates) == 0 {
		t.Error("no duplicate was counted")
	}
}

// What was read long ago is not sent: others may have published it meanwhile. Here a
// second goes by at every look at the clock, so that a pass comes to some events only.
func TestLateRowsAreReadAgain(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	var seconds, reads atomic.Int64
	bus.cfg.Now = func() time.Time { return natstest.Started(0, 0).At.Add(time.Duration(seconds.Add(1)) * time.Second) }
	outbox := &natstest.Outbox{OnRead: func() error { reads.Add(1); return nil }}
	var events []messages.Event
	for i := range 20 { // of one client, so that each waits for the one before
		events = append(events, natstest.Started(1, i), natstest.Ended(1, i))
	}
	outbox.Add(events...)
	publishing(t, bus, outbox)
	empty(t, outbox)
	if n := inOrder(t, stored(t, bus)); n != len(events) {
		t.Errorf("%d events on the stream, want %d", n, len(events))
	}
	if n := reads.Load(); n < 5 {
		t.Errorf("the outbox was read %d times for events of more than 40 seconds", n)
	}
}

// While rows cannot be cleared, their events are not sent over and over.
func TestUnclearedRowsAreNotPublishedAgainByTheSameProcess(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	var tries atomic.Int32
	outbox.OnClear = func([]int64) error {
		if tries.Add(1) < 4 {
			return errors.New("the store is away")
		}
		return nil
	}
	outbox.Add(natstest.Started(1, 0))
	p := publishing(t, bus, outbox)
	empty(t, outbox)
	if n := testutil.ToFloat64(p.metrics.published.WithLabelValues("call.started")); n != 1 {
		t.Errorf("published %v times, want once", n)
	}
	waitFor(t, 5*time.Second, "nothing is remembered", func() bool { halt(t, p); return len(p.acked) == 0 })
}

func TestRowsAreClearedOnlyWhenTheyAreOnStableStorage(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	p, err := bus.newPublisher(outbox, timing{poll: 10 * time.Millisecond, count: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var synced atomic.Int32
	p.durable = func() error {
		if synced.Add(1) < 3 {
			return errors.New("the disk is full")
		}
		return bus.embedded.Sync()
	}
	outbox.OnClear = func([]int64) error {
		if synced.Load() < 3 {
			t.Error("cleared without having been synced")
		}
		return nil
	}
	outbox.Add(natstest.Started(1, 0))
	p.Start()
	defer halt(t, p)
	empty(t, outbox)
}

func TestStopFlushesAndIsBounded(t *testing.T) {
	t.Parallel()
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	p, err := bus.newPublisher(outbox, timing{poll: time.Hour, count: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	p.Start()
	calls(outbox, 100, 5)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if n := outbox.Len(); n != 0 {
		t.Fatalf("%d rows are left", n)
	}
	if err := p.Stop(ctx); err != nil {
		t.Errorf("the second stop: %v", err)
	}
	p.Wake()

	stuck := &natstest.Outbox{}
	release := make(chan struct{})
	entered := make(chan struct{}, 10)
	stuck.OnClear = func([]int64) error { entered <- struct{}{}; <-release; return nil }
	stuck.Add(natstest.Started(1, 0))
	bus.cfg.Metrics = prometheus.NewRegistry()
	p = publishing(t, bus, stuck)
	<-entered
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	time.AfterFunc(time.Second, func() { close(release) }) // long after Stop has seen that its time is up
	if err := p.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that time ran out", err)
	}
}

func TestStopOfAPublisherThatNeverStarted(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	p, err := bus.NewPublisher(&natstest.Outbox{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What cannot be published as it is goes out reduced, and holds up nobody.
func TestUnpublishableEventsAreReduced(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	large, ageless, odd := natstest.Started(1, 0), natstest.Started(2, 0), natstest.Started(3, 0)
	large.Client.Name = strings.Repeat("x", 2<<20)
	ageless.Call.LeaseExpiresAt = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)
	odd.Type = "call started.*"
	odd.ID = ""
	for _, e := range []messages.Event{natstest.Started(0, 0), large, ageless, odd, natstest.Started(4, 0)} {
		outbox.Add(e)
	}
	outbox.Add() // holds nothing; must not stay for ever
	outbox.Add(natstest.Ended(1, 0))
	p := publishing(t, bus, outbox)
	empty(t, outbox)

	msgs := stored(t, bus)
	if len(msgs) != 6 {
		t.Fatalf("%d events on the stream, want 6", len(msgs))
	}
	if n := testutil.ToFloat64(p.metrics.reduced); n != 3 {
		t.Errorf("%v events counted as reduced, want 3", n)
	}
	for _, msg := range msgs {
		e, err := decode(msg.Data)
		if err != nil {
			t.Fatal(err)
		}
		if e.Call.ID.IsZero() || e.Call.ClientID.IsZero() || e.Call.Token != 1 {
			t.Errorf("%s does not say which call it is about", msg.Data)
		}
	}
}

// A row that cannot be read is set aside, with what can be read of it published,
// and holds up nobody.
func TestUnreadableRowsAreSetAside(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	outbox.Add(natstest.Started(1, 0))
	outbox.Add()
	outbox.Spoil(errors.New("an event of type 99"))
	outbox.Add(natstest.Started(2, 0), natstest.Ended(1, 0))
	outbox.Spoil(errors.New("an event of type 99"))
	outbox.Add(natstest.Ended(2, 0))
	p := publishing(t, bus, outbox)
	empty(t, outbox)
	if n := inOrder(t, stored(t, bus)); n != 4 {
		t.Errorf("%d events on the stream, want 4", n)
	}
	if got := outbox.Aside(); !slices.Equal(got, []int64{2, 3}) {
		t.Errorf("rows %v were set aside, want 2 and 3", got)
	}
	if n := testutil.ToFloat64(p.metrics.unreadable); n != 2 {
		t.Errorf("%v rows counted, want 2", n)
	}
	waitFor(t, 5*time.Second, "nothing is remembered", func() bool { halt(t, p); return len(p.acked) == 0 })
}

// A limit of the stream itself is only known when it refuses.
func TestEventTooLargeForTheStreamIsReduced(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	cfg := newStream(bus.cfg.Stream)
	cfg.MaxMsgSize = 4096
	if _, err := bus.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	outbox := &natstest.Outbox{}
	e := natstest.Started(1, 0)
	e.Client.Name = strings.Repeat("x", 5000)
	outbox.Add(e, natstest.Started(2, 0))
	outbox.Add(natstest.Ended(1, 0))
	p := publishing(t, bus, outbox)
	empty(t, outbox)
	if n := testutil.ToFloat64(p.metrics.reduced); n != 1 {
		t.Errorf("%v events reduced, want 1", n)
	}
	if n := count(t, bus); n != 3 {
		t.Errorf("%d events on the stream, want 3", n)
	}
}

// The backlog is counted while nothing can be published, and its age goes on.
func TestBacklogIsVisible(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	var away atomic.Bool
	away.Store(true)
	outbox.OnRead = func() error {
		if away.Load() {
			return errors.New("the store is away")
		}
		return nil
	}
	bus.cfg.Now = func() time.Time { return natstest.Started(0, 0).At.Add(90 * time.Second) }
	events := calls(outbox, 3, 1)
	p := publishing(t, bus, outbox)
	waitFor(t, 10*time.Second, "the rows are counted", func() bool { rows, age := p.metrics.backlog(); return rows == events && age == 90*time.Second })
	waitFor(t, 10*time.Second, "failures are counted", func() bool { return testutil.ToFloat64(p.metrics.failures) > 1 })
	away.Store(false)
	empty(t, outbox)
	waitFor(t, 10*time.Second, "nothing is left", func() bool { rows, age := p.metrics.backlog(); return rows == 0 && age == 0 })
}

// A stream that an operator told to refuse when it is full holds up publishing;
// rows stay, and go out in order when there is room.
func TestFullStreamThatRefuses(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	cfg := newStream(bus.cfg.Stream)
	cfg.Discard, cfg.MaxBytes = jetstream.DiscardNew, 64<<10
	if _, err := bus.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	outbox := &natstest.Outbox{}
	events := calls(outbox, 20, 10)
	p := publishing(t, bus, outbox)
	waitFor(t, 10*time.Second, "publishing fails", func() bool { return testutil.ToFloat64(p.metrics.failures) > 2 })
	if n := count(t, bus); n == 0 || n >= events || outbox.Len() < events-n {
		t.Fatalf("%d of %d events on the stream, %d rows left", n, events, outbox.Len())
	}
	cfg.MaxBytes = 8 << 20
	if _, err := bus.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	empty(t, outbox)
	if n := inOrder(t, stored(t, bus)); n != events {
		t.Errorf("%d events on the stream, want %d", n, events)
	}
	// The operator's limits are still there.
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().Config; got.Discard != jetstream.DiscardNew || got.MaxBytes != 8<<20 {
		t.Errorf("the stream was changed: %+v", got)
	}
}
