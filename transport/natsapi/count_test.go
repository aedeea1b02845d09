package natsapi

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// What the gauges say of the stream is what the stream says of itself.
func TestHowFullTheStreamIs(t *testing.T) {
	cfg := inProcess(t, t.TempDir())
	registry := prometheus.NewRegistry()
	cfg.Metrics, cfg.Stream.MaxBytes = registry, 5<<20
	bus := open(t, cfg)
	outbox := &natstest.Outbox{}
	outbox.Add(natstest.Started(1, 0), natstest.Ended(1, 0))
	p := publishing(t, bus, outbox)
	empty(t, outbox)
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	held := float64(stream.CachedInfo().State.Bytes)
	if held == 0 {
		t.Fatal("the stream holds nothing")
	}
	// The publisher asks too, and what it asked before there were events may come in late.
	waitFor(t, 30*time.Second, "the gauges say what the stream holds", func() bool {
		p.measure(t.Context())
		got := streamGauges(t, registry)
		return got["dibs_event_stream_bytes"] == held && got["dibs_event_stream_limit_bytes"] == 5<<20
	})
}

// streamGauges returns what the gauges say of the stream.
func streamGauges(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "dibs_event_stream_") {
			got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return got
}

// asked counts who asks for the stream, and has them wait as long as they do.
type asked struct {
	jetstream.JetStream
	times atomic.Int64
}

// Stream implements [jetstream.JetStream].
func (a *asked) Stream(ctx context.Context, _ string) (jetstream.Stream, error) {
	a.times.Add(1)
	<-ctx.Done()
	return nil, errAway
}

// A server is asked how full the stream is four times a minute, however long it takes to
// answer, and not while there is no connection, but soon after; what does not answer changes
// nothing.
func TestHowFullTheStreamIsIsAskedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registered, err := newMetrics(prometheus.NewRegistry(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		registered.measured(7, -1) // no limit
		js := &asked{}
		p := &Publisher{
			outbox: &natstest.Outbox{}, js: js, link: &link{changed: make(chan struct{})}, metrics: registered,
			log: slog.New(slog.DiscardHandler), timing: timing{count: countEvery}, stopping: make(chan struct{}),
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go p.count(ctx)
		<-time.After(time.Minute + time.Second) // of the bubble's clock
		if n := js.times.Load(); n != 0 {
			t.Errorf("asked %d times without a connection", n)
		}
		p.link.set(true)
		<-time.After(countEvery)
		if n := js.times.Load(); n != 1 {
			t.Errorf("asked %d times by the first count with a connection", n)
		}
		<-time.After(10 * time.Minute)
		if n := js.times.Load(); n < 39 || n > 41 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		if stored, limit := registered.size(); stored != 7 || limit != 0 {
			t.Errorf("the gauges say %d of %d", stored, limit)
		}
	})
}
