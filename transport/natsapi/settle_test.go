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
