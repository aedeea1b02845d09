//go:build unix

package natsapi

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/live"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// BenchmarkCarry is what it costs a node with NATS inside to carry an event from the
// outbox to the stream and to its own pages, at 10,000 a second. What an event costs the
// processors says more than the time it takes, and is the same on a busy machine.
func BenchmarkCarry(b *testing.B) {
	bus, outbox := open(b, inProcess(b, b.TempDir())), &natstest.Outbox{}
	p, err := bus.NewPublisher(outbox)
	if err != nil {
		b.Fatal(err)
	}
	p.Start()
	defer halt(b, p)
	sink := &counting{recorder: newRecorder()}
	ctx, cancel := context.WithCancel(context.Background())
	var feed sync.WaitGroup
	feed.Go(func() { _ = bus.NewFeed().Run(ctx, sink) })
	defer feed.Wait()
	defer cancel()
	waitFor(b, 10*time.Second, "the feed is attached", func() bool { return !sink.isStale() })

	const aRow = 40
	rows := make([][]messages.Event, (b.N+aRow-1)/aRow)
	for i := range rows {
		for k := i * aRow; k < (i+1)*aRow; k += 2 {
			rows[i] = append(rows[i], natstest.Started(k/2%60_000, k/120_000), natstest.Ended(k/2%60_000, k/120_000))
		}
	}
	tick := time.NewTicker(aRow * time.Second / 10_000)
	defer tick.Stop()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	began := cpu(b)
	for _, row := range rows {
		outbox.Add(row...)
		p.Wake()
		<-tick.C
	}
	events := aRow * len(rows)
	waitFor(b, time.Minute, "everything is brought", func() bool { return int(sink.n.Load()) == events && outbox.Len() == 0 })
	spent := cpu(b) - began
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(spent.Microseconds())/float64(events), "cpu-µs/event")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(events), "allocs/event")
}

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// counting counts events.
type counting struct {
	*recorder
	n atomic.Int64
}

func (c *counting) Apply(live.Offset, messages.Event) { c.n.Add(1) }
