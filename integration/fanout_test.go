package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// readersEach is how many readers share a key: a server lets one caller have a
// hundred.
const readersEach = 100

// TestEveryReaderReadsEveryEvent is the benchmark of the fan-out without its
// clock: whatever is acknowledged is read by every reader, once.
func TestEveryReaderReadsEveryEvent(t *testing.T) {
	f := newFanOut(t, onSQLite(t), 200)
	f.run(t, 200, 200, 100*time.Millisecond)
	f.latencies(t)
}

// BenchmarkFanOut is the time from the acknowledgement of a start over HTTP until
// the last of 1,000 live readers has read its event, at 200 calls a second (400
// events), for half a minute: the binary with its NATS inside, the database, the
// readers and the load generator, all on this machine. "asked" is the time from
// sending the request, which no late look at the answer can make shorter.
func BenchmarkFanOut(b *testing.B) {
	const readers, rate, calls, hold = 1000, 200, 6000, time.Second
	for name, store := range map[string]func(testing.TB) harness.Dibs{"sqlite": onSQLite, "postgres": onDurablePostgres} {
		b.Run(name, func(b *testing.B) {
			f := newFanOut(b, store(b), readers)
			for b.Loop() {
				before := metric(b, f.server, "process_cpu_seconds_total")
				began := time.Now()
				f.run(b, calls, rate, hold)
				cores := (metric(b, f.server, "process_cpu_seconds_total") - before) / time.Since(began).Seconds()
				acknowledged, asked := f.latencies(b)
				b.ReportMetric(quantile(acknowledged, .5), "p50-ms")
				b.ReportMetric(quantile(acknowledged, .99), "p99-ms")
				b.ReportMetric(quantile(acknowledged, 1), "max-ms")
				b.ReportMetric(quantile(asked, .99), "asked-p99-ms")
				b.ReportMetric(cores, "cores")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

func onDurablePostgres(t testing.TB) harness.Dibs {
	server := pgtest.StartServer(t, pgtest.Options{Durable: true})
	return harness.Dibs{Binary: tools.dibs, Store: harness.Store{DataDir: t.TempDir(), DatabaseURL: server.MigratedURL(t, "fanout")}}
}

// quantile is in milliseconds; sorted is not empty.
func quantile(sorted []time.Duration, q float64) float64 {
	return float64(sorted[int(q*float64(len(sorted)-1))].Microseconds()) / 1000
}

// fanOut is a server with a team who call, and a process full of readers.
type fanOut struct {
	server  *harness.Server
	team    *dialer
	dibs    harness.Dibs
	program string
	keys    []string
	readers int

	mu    sync.Mutex
	calls map[messages.CallID]answered
	seen  []seenByReaders
}

// answered is when a start was asked for and acknowledged.
type answered struct{ asked, acknowledged time.Time }

// seenByReaders is what the readers' process prints of an event.
type seenByReaders struct {
	ID      string
	Last    int64 // Unix nanoseconds
	Readers int
}

func newFanOut(t testing.TB, d harness.Dibs, readers int) *fanOut {
	t.Helper()
	f := &fanOut{dibs: d, readers: readers}
	var err error
	f.program, err = harness.Build(t.Context(), "..", "./integration/livereaders", t.TempDir())
	must(t, err)
	connect := newDialer(t, d, 1000, 1000)
	for range readers / readersEach {
		f.keys = append(f.keys, serviceKey(t, d))
	}
	f.server = d.Serve(t)
	f.server.WaitReady(readyLimit)
	f.team = connect(f.server)
	// Until then a snapshot may stand for events.
	waitFor(t, time.Minute, "the server to hear of events", func() bool { return metric(t, f.server, "dibs_live_stale") == 0 })
	return f
}

// run has the team make calls, so many a second, each of which goes on for a
// while, and returns when all readers have read all of it.
func (f *fanOut) run(t testing.TB, calls, rate int, hold time.Duration) {
	t.Helper()
	f.calls = make(map[messages.CallID]answered, calls)
	args := append([]string{f.server.Addr, strconv.Itoa(readersEach)}, f.keys...)
	cmd := exec.CommandContext(t.Context(), f.program, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the readers did not start: %q, %v", line, err)
	}

	var talking sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range calls {
		<-tick.C
		talking.Go(func() {
			if err := f.call(t, i, hold); err != nil {
				t.Error(err)
			}
		})
	}
	talking.Wait()
	_, err = fmt.Fprintln(in, 2*calls)
	must(t, err)
	printed, err := io.ReadAll(lines)
	must(t, err)
	must(t, cmd.Wait())
	f.seen = nil
	must(t, json.Unmarshal(printed, &f.seen))
}

// call starts a call, goes on for a while, and ends it.
func (f *fanOut) call(t testing.TB, i int, hold time.Duration) error {
	asked := time.Now()
	r, err := f.team.Put(t.Context(), f.team.startOf(i%len(f.team.users), i%len(f.team.clients)))
	acknowledged := time.Now()
	if err := notDone(r, err); err != nil {
		return fmt.Errorf("start %d: %w", i, err)
	}
	f.mu.Lock()
	f.calls[r.Call.ID] = answered{asked, acknowledged}
	f.mu.Unlock()
	<-time.After(hold)
	r, err = f.team.Put(t.Context(), harness.Change{Action: "end_call", UserID: r.Call.UserID.String()})
	if err := notDone(r, err); err != nil {
		return fmt.Errorf("end %d: %w", i, err)
	}
	return nil
}

func notDone(r harness.Reply, err error) error {
	if err == nil && r.Status != http.StatusOK {
		return fmt.Errorf("status %d: %s", r.Status, r.Raw)
	}
	return err
}

// latencies checks that everybody has read everything, and returns in rising
// order how long each start took to be read by the last reader.
func (f *fanOut) latencies(t testing.TB) (sinceAcknowledged, sinceAsked []time.Duration) {
	t.Helper()
	ended := 0
	for _, e := range f.seen {
		if e.Readers != f.readers {
			t.Fatalf("%s was read %d times by %d readers", e.ID, e.Readers, f.readers)
		}
		text, kind, _ := strings.Cut(e.ID, "/")
		id, err := messages.ParseID(text)
		must(t, err)
		call, ok := f.calls[messages.CallID{UUID: id}]
		switch {
		case !ok:
			t.Fatalf("%s was read, and nobody was told of it", e.ID)
		case kind == string(messages.EventCallEnded):
			ended++
		default:
			last := time.Unix(0, e.Last)
			sinceAcknowledged = append(sinceAcknowledged, last.Sub(call.acknowledged))
			sinceAsked = append(sinceAsked, last.Sub(call.asked))
		}
	}
	if len(sinceAsked) != len(f.calls) || ended != len(f.calls) || ended == 0 {
		t.Fatalf("%d starts and %d ends were read of %d calls", len(sinceAsked), ended, len(f.calls))
	}
	slices.Sort(sinceAcknowledged)
	slices.Sort(sinceAsked)
	return sinceAcknowledged, sinceAsked
}
