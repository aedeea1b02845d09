package natsapi

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/live"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// BenchmarkDrain is how fast a backlog goes out, rows of 50 events each.
func BenchmarkDrain(b *testing.B) {
	bus := open(b, inProcess(b, b.TempDir()))
	outbox := &natstest.Outbox{}
	var row []messages.Event
	for i := range b.N {
		if row = append(row, natstest.Started(i%60_000, i/60_000)); len(row) == 50 {
			outbox.Add(row...)
			row = nil
		}
	}
	outbox.Add(row...)
	b.ResetTimer()
	publishing(b, bus, outbox)
	for outbox.Len() > 0 {
		<-time.After(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkDelay is the time from a commit to the feed of another reader, an
// event at a time.
func BenchmarkDelay(b *testing.B) {
	bus := open(b, inProcess(b, b.TempDir()))
	outbox := &natstest.Outbox{}
	p := publishing(b, bus, outbox)
	sink := &arrivals{recorder: newRecorder(), came: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(b.Context())
	var feed sync.WaitGroup
	feed.Go(func() { run(ctx, b, bus, sink) })
	defer feed.Wait()
	defer cancel()
	waitFor(b, 10*time.Second, "the feed is attached", func() bool { return !sink.isStale() })
	b.ResetTimer()
	for i := range b.N {
		outbox.Add(natstest.Started(i%60_000, i/60_000))
		p.Wake()
		<-sink.came
	}
}

// arrivals says when an event came.
type arrivals struct {
	*recorder
	came chan struct{}
}

func (a *arrivals) Apply(at live.Offset, e messages.Event) {
	a.recorder.Apply(at, e)
	a.came <- struct{}{}
}
