package natsapi

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// A start is refused for want of room that its end would find. The end must not
// come first.
func TestEndDoesNotOvertakeItsStart(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	cfg := newStream(bus.cfg.Stream)
	cfg.Discard, cfg.MaxBytes = jetstream.DiscardNew, 4<<10
	if _, err := bus.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	outbox := &natstest.Outbox{}
	large := natstest.Started(1, 0)
	large.Client.Name = strings.Repeat("x", 5000)
	outbox.Add(large)
	outbox.Add(natstest.Ended(1, 0))
	p := publishing(t, bus, outbox)
	waitFor(t, 10*time.Second, "publishing fails", failing(p))
	if n := count(t, bus); n != 0 {
		t.Errorf("%d events on the stream, want none", n)
	}
	cfg.MaxBytes = 1 << 20
	if _, err := bus.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	empty(t, outbox)
	if n := inOrder(t, stored(t, bus)); n != 2 {
		t.Errorf("%d events on the stream, want 2", n)
	}
}

func TestDeletedStreamIsMadeAgain(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	outbox := &natstest.Outbox{}
	publishing(t, bus, outbox)
	outbox.Add(natstest.Started(1, 0))
	empty(t, outbox)
	if err := bus.js.DeleteStream(t.Context(), StreamName); err != nil {
		t.Fatal(err)
	}
	outbox.Add(natstest.Started(2, 0))
	empty(t, outbox)
	if n := count(t, bus); n != 1 {
		t.Errorf("%d events on the new stream, want 1", n)
	}
}

// Two nodes publish from the same outbox while it is being filled.
func TestTwoPublishersKeepTheOrder(t *testing.T) {
	server := process(t, "")
	one, two := open(t, configOf(t, server)), open(t, configOf(t, server))
	outbox := &natstest.Outbox{}
	a, b := publishing(t, one, outbox), publishing(t, two, outbox)
	const clients, n = 50, 40
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			for c := range clients {
				outbox.Add(natstest.Started(c, i))
				outbox.Add(natstest.Ended(c, i))
			}
			a.Wake()
			b.Wake()
		}
	})
	wg.Wait()
	empty(t, outbox)
	if got := inOrder(t, stored(t, one)); got != 2*clients*n {
		t.Errorf("%d events on the stream, want %d", got, 2*clients*n)
	}
	if testutil.ToFloat64(a.metrics.duplicates)+testutil.ToFloat64(b.metrics.duplicates) == 0 {
		t.Log("the two never met")
	}
}
