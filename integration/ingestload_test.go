package integration

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// fleet is a dialer with many agents who are on one call after the other, and a
// server that hears of them by events alone.
type fleet struct {
	*switchboard
	bus
	server *harness.Server
	began  time.Time
	sent   int
}

func newFleet(t testing.TB, agents int) *fleet {
	t.Helper()
	pg := pgtest.StartServer(t, pgtest.Options{Durable: true})
	url := pg.MigratedURL(t, "fleet")
	d := harness.Dibs{Binary: tools.dibs, Store: harness.Store{DataDir: t.TempDir(), DatabaseURL: url}}
	listen := harness.FreeAddr(t)
	f := &fleet{switchboard: newSwitchboard(t, openStore(t, d.Store), agents), began: time.Now().UTC().Truncate(time.Second)}
	f.server = d.Serve(t, "--nats-listen", listen)
	f.server.WaitReady(readyLimit)
	f.bus = connectNATS(t, "nats://"+listen)
	waitFor(t, readyLimit, "the ingest stream", func() bool {
		_, err := f.Stream(t.Context(), "DIBS_INGEST")
		return err == nil
	})
	return f
}

// send publishes the fleet's next events: each agent's call begins, then each
// one's ends, and so on.
func (f *fleet) send(t testing.TB, n int) {
	t.Helper()
	for range n {
		agent, turn := f.sent%len(f.users), f.sent/len(f.users)
		c := reportedCall{user: agent, client: agent}
		ref, at := fmt.Sprintf("%d/%d", agent, turn/2), f.began.Add(time.Duration(turn)*time.Second)
		c.started = messages.Report{Source: reportSource, ID: fmt.Sprintf("s%d", f.sent), CallRef: ref, OccurredAt: at}
		c.ended = messages.Report{Source: reportSource, ID: fmt.Sprintf("e%d", f.sent), CallRef: ref, OccurredAt: at}
		kind := messages.EventCallStarted
		if turn%2 == 1 {
			kind = messages.EventCallEnded
		}
		e := f.event(t, agent, c, kind)
		if _, err := f.PublishAsync(e.subject, e.body, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
		f.sent++
	}
}

func (f *fleet) settled(t testing.TB) {
	t.Helper()
	select {
	case <-f.PublishAsyncComplete():
	case <-time.After(time.Minute):
		t.Fatal("events were published, and not acknowledged")
	}
}

// BenchmarkIngest is how fast a backlog of call events is worked off, the load
// generator and all servers on this machine.
func BenchmarkIngest(b *testing.B) {
	f := newFleet(b, 2000)
	b.ResetTimer()
	f.send(b, b.N)
	f.settled(b)
	waitFor(b, ingestLimit, "all events to be worked off", func() bool { return f.left(b) == 0 })
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkIngestSustained publishes 5,000 events a second and reports how many
// wait, in the middle and at the end: a server that keeps up has as few at the
// end.
func BenchmarkIngestSustained(b *testing.B) {
	const rate, step = 5000, 50 * time.Millisecond
	f := newFleet(b, 2000)
	const atOnce = int(rate * step / time.Second)
	tick := time.NewTicker(step)
	defer tick.Stop()
	b.ResetTimer()
	middle, most := 0, 0
	for sent := 0; sent < b.N; sent += atOnce {
		<-tick.C
		f.send(b, min(atOnce, b.N-sent))
		if sent/atOnce%20 == 0 { // every second
			n := f.left(b)
			most = max(most, n)
			if sent < b.N/2 {
				middle = n
			}
		}
	}
	end := f.left(b)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(middle), "waiting-middle")
	b.ReportMetric(float64(end), "waiting-end")
	b.ReportMetric(float64(most), "waiting-most")
	f.settled(b)
	waitFor(b, ingestLimit, "all events to be worked off", func() bool { return f.left(b) == 0 })
}

// burst is how many events TestBurstStaysFlat publishes. A million take minutes:
// go test -run BurstStaysFlat ./integration -burst 1000000
var burst = flag.Int("burst", 200_000, "events of a burst")

const (
	// mostInBurst bounds the memory of a burst of the usual size, on a machine of any
	// speed: if all windows of NATS (some seconds of messages, ids, subjects) held all
	// of it, some 270 MiB would be alive, and 128 MiB lie about.
	mostInBurst = 480 << 20
	longBurst   = 1_000_000
)

// TestBurstStaysFlat: a burst of events is worked off in memory that does not
// depend on its size. Buffers of NATS fill in the first seconds, so a short burst
// is held to what they may come to; the second half of a long one to its first.
func TestBurstStaysFlat(t *testing.T) {
	events := *burst
	if testing.Short() {
		events = 50_000
	}
	f := newFleet(t, 2000)
	first, second, backlog := int64(0), int64(0), 0
	begin := time.Now()
	watch := func() (left int) {
		left = f.left(t)
		backlog = max(backlog, left)
		if f.sent-left < events/2 {
			first = max(first, f.server.ResidentMemory())
		} else {
			second = max(second, f.server.ResidentMemory())
		}
		return left
	}
	for f.sent < events {
		f.send(t, min(10_000, events-f.sent))
		watch()
	}
	f.settled(t)
	waitFor(t, ingestLimit, "all events to be worked off", func() bool { return watch() == 0 })
	t.Logf("%d events in %s, at most %d waiting; memory %d MiB in the first half, %d MiB in the second",
		events, time.Since(begin).Round(time.Second), backlog, first>>20, second>>20)
	held, limit := max(first, second), int64(mostInBurst)
	if events >= longBurst {
		held, limit = second, first+first/10+32<<20
	}
	if held > limit {
		t.Errorf("the server held %d MiB, want at most %d", held>>20, limit>>20)
	}
}
