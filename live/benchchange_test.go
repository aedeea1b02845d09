package live

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dibs-calls/dibs/messages"
)

// BenchmarkChange is what a call costs the model: a start and an end that this node
// commits, and which its feed brings once more. With a reader, time says nothing (the
// changes come as fast as a busy node has them), but memory does.
func BenchmarkChange(b *testing.B) {
	for name, read := range map[string]bool{"nobody": false, "a reader": true} {
		b.Run(name, func(b *testing.B) {
			const people = 1000
			truth := newStore(people)
			m, err := New(Config{Truth: truth, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), ReconcileEvery: time.Hour})
			if err != nil {
				b.Fatal(err)
			}
			run(b, m)
			waitFor(b, m.Loaded)
			if read {
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				go func() { _ = m.Stream(ctx, "", func([]byte) error { return nil }) }()
				waitFor(b, func() bool { return m.hub.readerCount() == 1 })
			}
			var at Offset
			calls := make([][2]messages.Event, people) // start and end
			for n := range calls {
				calls[n] = [2]messages.Event{truth.start(n, n)[0], truth.end(n)[0]}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if read && i%100 == 0 {
					<-time.After(20 * time.Millisecond)
				}
				for k := range 2 {
					e := &calls[i%people][k]
					e.Call.Token++ // the next call of the same two
					e.Call.StartedAt = e.Call.StartedAt.Add(time.Minute)
					at.Seq++
					m.Committed([]messages.Event{*e})
					m.Apply(at, *e)
				}
			}
		})
	}
}
