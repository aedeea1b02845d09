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
	p.measure(t.Context())
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	held := float64(stream.CachedInfo().State.Bytes)
	got := map[string]float64{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "dibs_event_stream_") {
			got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	if held == 0 || got["dibs_event_stream_bytes"] != held || got["dibs_event_stream_limit_bytes"] != 5<<20 {
		t.Errorf("the gauges say %v; the stream holds %v of %d", got, held, 5<<20)
	}
}

// asked counts who asks for the stream.
type asked struct {
	jetstream.JetStream
	times atomic.Int64
}

// Stream implements [jetstream.JetStream].
func (a *asked) Stream(context.Context, string) (jetstream.Stream, error) {
	a.times.Add(1)
	return nil, errAway
}

// A server is asked how full the stream is four times a minute, and not while there is no
// connection; what does not answer changes nothing.
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
		<-time.After(time.Minute) // of the bubble's clock
		if n := js.times.Load(); n != 0 {
			t.Errorf("asked %d times without a connection", n)
		}
		p.link.set(true)
		<-time.After(10 * time.Minute)
		if n := js.times.Load(); n < 39 || n > 41 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		if stored, limit := registered.size(); stored != 7 || limit != 0 {
			t.Errorf("the gauges say %d of %d", stored, limit)
		}
	})
}
