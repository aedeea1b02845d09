package natsapi

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// settling is a publisher that settles a first row at once and then nothing for an
// hour, unless it has to.
func settling(t *testing.T) (*Bus, *natstest.Outbox, *Publisher) {
	bus, outbox := open(t, inProcess(t, t.TempDir())), &natstest.Outbox{}
	p, err := bus.newPublisher(outbox, timing{poll: 10 * time.Millisecond, count: time.Hour, settle: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { halt(t, p) })
	return bus, outbox, p
}

func published(p *Publisher) int {
	return int(testutil.ToFloat64(p.metrics.published.WithLabelValues("call.started")))
}

// One flush serves many rows. Until then they stay, are not published again, and
// nothing waits for them; the last flush is at the end.
func TestOneFlushServesManyRows(t *testing.T) {
	bus, outbox, p := settling(t)
	var flushes atomic.Int32
	p.durable = func() error { flushes.Add(1); return bus.embedded.Sync() }
	p.Start()
	outbox.Add(natstest.Started(0, 0))
	empty(t, outbox)
	for i := 1; i <= 20; i++ {
		outbox.Add(natstest.Started(i, 0))
		p.Wake()
		waitFor(t, 10*time.Second, "the event is published", func() bool { return published(p) == i+1 })
	}
	if n, m := outbox.Len(), flushes.Load(); n != 20 || m != 1 {
		t.Errorf("%d rows are left after %d flushes, want 20 after 1", n, m)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, m := outbox.Len(), flushes.Load(); n != 0 || m != 2 {
		t.Errorf("%d rows are left after %d flushes, want none after 2", n, m)
	}
	if n, again := inOrder(t, stored(t, bus)), testutil.ToFloat64(p.metrics.duplicates); n != 21 || again != 0 {
		t.Errorf("%d events on the stream, and %v sent again; want 21 and none", n, again)
	}
}

// Rows that are held have to be left out of each reading, so they must not become many.
func TestManyRowsAreNotHeld(t *testing.T) {
	_, outbox, p := settling(t)
	p.Start()
	outbox.Add(natstest.Started(0, 0))
	empty(t, outbox)
	for i := 1; i <= mostHeld+10; i++ {
		outbox.Add(natstest.Started(i, 0))
	}
	waitFor(t, 10*time.Second, "rows are settled", func() bool { return published(p) == mostHeld+11 && outbox.Len() <= mostHeld })
}

// While what was published cannot be brought to stable storage, nothing more is.
func TestNothingIsPublishedThatCannotBeSettled(t *testing.T) {
	_, outbox, p := settling(t)
	p.durable = func() error { return errors.New("the disk is broken") }
	failed := failing(p)
	p.Start()
	outbox.Add(natstest.Started(0, 0))
	waitFor(t, 10*time.Second, "publishing fails", failed)
	outbox.Add(natstest.Started(1, 0))
	for range 2 {
		waitFor(t, 10*time.Second, "publishing fails again", failing(p))
	}
	if n := published(p); n != 1 || outbox.Len() != 2 {
		t.Errorf("%d events were published and %d rows are left, want 1 and 2", n, outbox.Len())
	}
}

// A row that can neither be read nor set aside is in nobody's way.
func TestRowThatCannotBeSetAsideHoldsNobodyUp(t *testing.T) {
	for what, settle := range map[string]time.Duration{"alone": 20 * time.Millisecond, "one of several": 0} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			bus, outbox := open(t, inProcess(t, t.TempDir())), &natstest.Outbox{}
			var denied atomic.Bool
			var tries, reads atomic.Int32
			denied.Store(true)
			outbox.OnRead = func() error { reads.Add(1); return nil }
			outbox.OnAside = func(id int64) error {
				if id == 1 && denied.Load() {
					tries.Add(1)
					return errors.New("permission denied")
				}
				return nil
			}
			p, err := bus.newPublisher(outbox, timing{poll: time.Second, count: time.Hour, settle: settle})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { halt(t, p) })
			for i := range 2 { // the second waits neither for the first
				outbox.Add(natstest.Started(i, 0))
				outbox.Spoil(errors.New("one event cannot be read"))
			}
			p.Start()
			waitFor(t, 20*time.Second, "it was tried", func() bool { return tries.Load() > 0 })
			for i := 2; i <= 20; i++ {
				outbox.Add(natstest.Started(i, 0))
				p.Wake()
				waitFor(t, 20*time.Second, "the others are out of the way", func() bool { return outbox.Len() == 1 })
			}
			waitFor(t, 20*time.Second, "it is tried again", func() bool { return tries.Load() > 1 })
			if n, again := published(p), testutil.ToFloat64(p.metrics.duplicates); n != 21 || again != 0 {
				t.Errorf("%d events were published, and %v again; want 21 and none", n, again)
			}
			if n := reads.Load(); n > 1000 {
				t.Errorf("the outbox was read %d times", n)
			}
			denied.Store(false)
			empty(t, outbox)
			if n := testutil.ToFloat64(p.metrics.unreadable); n != 2 || len(outbox.Aside()) != 2 {
				t.Errorf("%v rows counted, %v set aside, want 2 each", n, outbox.Aside())
			}
		})
	}
}

// Too many of them stop the publisher: each reading has to leave them out.
func TestManyRowsThatCannotBeSetAside(t *testing.T) {
	t.Parallel()
	_, outbox, p := settling(t)
	var denied atomic.Bool
	denied.Store(true)
	outbox.OnAside = func(int64) error {
		if denied.Load() {
			return errors.New("permission denied")
		}
		return nil
	}
	for i := range mostHeld {
		outbox.Add(natstest.Started(i, 0))
		outbox.Spoil(errors.New("one event cannot be read"))
	}
	p.Start()
	waitFor(t, 20*time.Second, "they were published", func() bool { return published(p) == mostHeld })
	waitFor(t, 20*time.Second, "publishing fails", failing(p))
	for range 2 {
		waitFor(t, 20*time.Second, "publishing fails again", failing(p))
	}
	denied.Store(false)
	outbox.Add(natstest.Started(mostHeld, 0))
	waitFor(t, 20*time.Second, "they are out of the way", func() bool { return len(outbox.Aside()) == mostHeld })
	waitFor(t, 20*time.Second, "the next is published", func() bool { return published(p) == mostHeld+1 })
}

// What is on the stream is settled at the end, even if nothing more can be read.
func TestStopSettlesAfterAFailure(t *testing.T) {
	_, outbox, p := settling(t)
	var away atomic.Bool
	outbox.OnRead = func() error {
		if away.Load() {
			return errors.New("away")
		}
		return nil
	}
	p.Start()
	outbox.Add(natstest.Started(0, 0))
	empty(t, outbox)
	outbox.Add(natstest.Started(1, 0))
	waitFor(t, 10*time.Second, "the event is published", func() bool { return published(p) == 2 })
	failed := failing(p)
	away.Store(true)
	waitFor(t, 10*time.Second, "publishing fails", failed)
	if outbox.Len() != 1 {
		t.Fatal("settled before its time")
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if outbox.Len() != 0 {
		t.Error("the row was not settled")
	}
}
