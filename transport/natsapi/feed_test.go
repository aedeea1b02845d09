package natsapi

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/live"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

func attached(t *testing.T, sink *recorder) {
	t.Helper()
	waitFor(t, 30*time.Second, "the feed is attached", func() bool { return !sink.isStale() })
}

func brought(t *testing.T, sink *recorder, n int) {
	t.Helper()
	waitFor(t, 30*time.Second, "the feed has brought its events", func() bool { got, _ := sink.counts(); return got >= n })
}

// A new sink begins at the end of the stream, and says where that is.
func TestFeedBeginsAtTheEnd(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	p := publishing(t, bus, outbox)
	before := calls(outbox, 5, 1)
	empty(t, outbox)
	sink := newRecorder()
	following(t, bus, sink)
	attached(t, sink)
	if sink.resets[0].Seq != uint64(before) {
		t.Errorf("reset at %v, want at %d", sink.resets[0], before)
	}
	outbox.Add(natstest.Started(9, 0))
	p.Wake()
	brought(t, sink, 1)
	if sink.events[0].ID != natstest.Started(9, 0).ID || sink.pos != (live.Offset{Epoch: sink.resets[0].Epoch, Seq: uint64(before) + 1}) {
		t.Errorf("event %s at %v", sink.events[0].ID, sink.pos)
	}
}

// A sink that was there before goes on where it stood, without a reset.
func TestFeedGoesOnFromThePosition(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	p := publishing(t, bus, outbox)
	sink := newRecorder()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx, t, bus, sink) }()
	attached(t, sink)
	outbox.Add(natstest.Started(1, 0))
	p.Wake()
	brought(t, sink, 1)
	cancel()
	<-done

	outbox.Add(natstest.Ended(1, 0))
	empty(t, outbox)
	following(t, bus, sink)
	brought(t, sink, 2)
	if n, resets := sink.counts(); n != 2 || resets != 1 {
		t.Errorf("%d events, %d resets; want 2 and 1", n, resets)
	}
}

// A position in another incarnation of the stream says nothing about this one.
func TestFeedOfASinkFromAnotherEpoch(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	publishing(t, bus, outbox)
	events := calls(outbox, 3, 1)
	empty(t, outbox)
	sink := newRecorder()
	sink.pos = live.Offset{Epoch: "another", Seq: 2}
	following(t, bus, sink)
	attached(t, sink)
	if n, resets := sink.counts(); n != 0 || resets != 1 || sink.pos.Seq != uint64(events) {
		t.Errorf("%d events, %d resets, position %v; want to begin at the end", n, resets, sink.pos)
	}
}

func TestFeedOfAStreamThatIsMadeAnew(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	p := publishing(t, bus, outbox)
	sink := newRecorder()
	following(t, bus, sink)
	attached(t, sink)
	calls(outbox, 3, 1)
	brought(t, sink, 6)
	if err := bus.js.DeleteStream(t.Context(), StreamName); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 30*time.Second, "the feed is stale", sink.isStale)
	outbox.Add(natstest.Started(9, 0))
	p.Wake()
	empty(t, outbox)
	attached(t, sink)
	outbox.Add(natstest.Ended(9, 0))
	p.Wake()
	waitFor(t, 30*time.Second, "the end is brought", func() bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return sink.events[len(sink.events)-1].ID == natstest.Ended(9, 0).ID
	})
	if len(sink.resets) < 2 || sink.resets[0].Epoch == sink.resets[1].Epoch {
		t.Errorf("resets %v: want one of another epoch", sink.resets)
	}
}

// What the limits of the stream delete before it was read is told.
func TestFeedTellsOfDeletedEvents(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	publishing(t, bus, outbox)
	calls(outbox, 5, 1)
	empty(t, outbox)
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	epoch := epochOf(stream.CachedInfo())

	if err := stream.DeleteMsg(t.Context(), 6); err != nil { // in the middle
		t.Fatal(err)
	}
	sink := newRecorder()
	sink.pos = live.Offset{Epoch: epoch, Seq: 3}
	following(t, bus, sink)
	brought(t, sink, 6)
	if want := (live.Offset{Epoch: epoch, Seq: 6}); len(sink.resets) != 1 || sink.resets[0] != want {
		t.Errorf("resets %v, want %v", sink.resets, want)
	}

	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(9)); err != nil { // at the beginning
		t.Fatal(err)
	}
	late := newRecorder()
	late.pos = live.Offset{Epoch: epoch, Seq: 3}
	following(t, bus, late)
	attached(t, late)
	if want := (live.Offset{Epoch: epoch, Seq: 10}); len(late.resets) != 1 || late.resets[0] != want {
		t.Errorf("resets %v, want %v", late.resets, want)
	}
}

// What nobody can understand is skipped.
func TestFeedSkipsWhatIsNoEvent(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	sink := newRecorder()
	following(t, bus, sink)
	attached(t, sink)
	for _, body := range []string{"", "{}", `{"specversion":"1.0","data":7}`, "\xff"} {
		if _, err := bus.js.Publish(t.Context(), SubjectPrefix+"call.started.x.y", []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	outbox := &natstest.Outbox{}
	outbox.Add(natstest.Started(1, 0))
	publishing(t, bus, outbox)
	brought(t, sink, 1)
	if _, resets := sink.counts(); resets != 1 || sink.events[0].ID != natstest.Started(1, 0).ID {
		t.Errorf("%d resets, event %s", resets, sink.events[0].ID)
	}
}

// The order of the stream is the order of the feed, under load and through
// consumers that vanish.
func TestFeedLosesNothingWhenItsConsumerVanishes(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	p := publishing(t, bus, outbox)
	sink := newRecorder()
	following(t, bus, sink)
	attached(t, sink)
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	events := 0
	for i := range 5 {
		events += callsFrom(outbox, 100, i, 1)
		p.Wake()
		for name := range stream.ConsumerNames(t.Context()).Name() {
			if err := stream.DeleteConsumer(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		brought(t, sink, events)
	}
	attached(t, sink)
	if n, resets := sink.counts(); n != events || resets != 1 {
		t.Errorf("%d events and %d resets, want %d and 1", n, resets, events)
	}
	started := map[messages.CallID]bool{}
	for _, e := range sink.events {
		if e.Type == messages.EventCallStarted {
			started[e.Call.ID] = true
		} else if !started[e.Call.ID] {
			t.Fatalf("call %s ended before it started", e.Call.ID)
		}
	}
}

// Junk on the stream, which somebody else may have had put there, is skipped, and
// does not fill the log.
func TestFeedSkipsJunk(t *testing.T) {
	cfg := inProcess(t, t.TempDir())
	var lines lineCount
	cfg.Log = slog.New(slog.NewTextHandler(&lines, nil))
	bus := open(t, cfg)
	outbox := &natstest.Outbox{}
	p := publishing(t, bus, outbox)
	sink := newRecorder()
	following(t, bus, sink)
	attached(t, sink)
	const junk = 500
	for range junk {
		if err := bus.link.nc.Publish("dibs.events.call.started.q.q", []byte(`{"type":"io.nats.micro.v1.ping_response"}`)); err != nil {
			t.Fatal(err)
		}
	}
	outbox.Add(natstest.Started(9, 0))
	p.Wake()
	brought(t, sink, 1)
	if sink.events[0].ID != natstest.Started(9, 0).ID || sink.pos.Seq != junk+1 {
		t.Errorf("event %s at %v", sink.events[0].ID, sink.pos)
	}
	if n := lines.errors.Load(); n == 0 || n > junk/5 {
		t.Errorf("%d lines about %d messages", n, junk)
	}
}

// lineCount is a log that is counted.
type lineCount struct{ errors atomic.Int64 }

func (l *lineCount) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("level=ERROR")) {
		l.errors.Add(1)
	}
	return len(line), nil
}
