package sip

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/client"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestManyCalls: 50 calls a second for a minute, answered and hung up a second
// later, and nothing is left of them. dibs is on Postgres, and NATS lets everybody do
// what they need and nothing else. A machine that stands still for seconds makes
// Kamailio refuse calls, which is right; more than a few of them is not.
func TestManyCalls(t *testing.T) {
	t.Parallel()
	const rate, people = 50, 300
	calls := rate * 60
	if testing.Short() {
		calls = rate * 10
	}
	w := newGuarded(t, people, calls, lease)
	w.callee(t, "answer")
	var lines strings.Builder
	lines.WriteString("SEQUENTIAL\n")
	for n := range calls {
		fmt.Fprintf(&lines, "%s;%s\n", email(n%people), number(n))
	}
	file := filepath.Join(w.dir, "calls.csv")
	write(t, file, lines.String())

	phones := w.sipp(t, "load", harness.FreeUDPAddr(t), w.proxy, "-r", strconv.Itoa(rate), "-m", strconv.Itoa(calls), "-inf", file,
		"-trace_rtt", "-rtt_freq", "1")
	within(t, 5*time.Minute, "the calls", func() bool { _, ended := phones.ended(); return ended })
	if code, _ := phones.ended(); code != 0 {
		t.Errorf("not every call went well: sipp ended with %d", code)
	}
	w.nothingLeft()
	answered := logWaits(t, phones.cmd.Dir)
	if answered < calls*4/5 {
		t.Errorf("%d of %d calls were answered", answered, calls)
	}

	within(t, patience, "all live events", func() bool {
		started := len(w.calls(client.CallStarted))
		return started >= answered && len(w.calls(client.CallEnded)) == started
	})
	ends := map[string]int{}
	for _, e := range w.calls(client.CallEnded) {
		ends[e.Reason+"/"+e.Disposition]++
	}
	if answered == calls && (ends["completed/answered"] != calls || len(ends) != 1) {
		t.Errorf("every call was answered, and they ended so: %v", ends)
	}
}

// logWaits says how long callers waited from the INVITE to the answer of a callee
// who answers at once: the question to dibs and two hops of SIP. It returns how many
// were answered.
func logWaits(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_rtt.csv"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the times of sipp: %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var ms []float64
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Split(line, ";")
		if len(fields) < 3 {
			continue
		}
		if v, err := strconv.ParseFloat(fields[1], 64); err == nil {
			ms = append(ms, v)
		}
	}
	if len(ms) == 0 {
		t.Fatal("nobody was answered")
	}
	slices.Sort(ms)
	at := func(share float64) float64 { return ms[int(share*float64(len(ms)-1))] }
	t.Logf("%d calls, from INVITE to 200: p50 %.1f ms, p99 %.1f ms, at most %.1f ms", len(ms), at(0.5), at(0.99), at(1))
	return len(ms)
}
