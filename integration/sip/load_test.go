package sip

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/client"
)

// TestManyCalls: 50 calls a second for a minute, all answered and hung up a
// second later, and nothing is left of them.
func TestManyCalls(t *testing.T) {
	const rate, people = 50, 300
	calls := rate * 60
	if testing.Short() {
		calls = rate * 10
	}
	w := newWorld(t, people, calls, lease)
	w.callee(t, "answer")
	var lines strings.Builder
	lines.WriteString("SEQUENTIAL\n")
	for n := range calls {
		fmt.Fprintf(&lines, "%s;%s\n", email(n%people), number(n))
	}
	file := filepath.Join(w.dir, "calls.csv")
	write(t, file, lines.String())

	phones := w.sipp(t, "load", freeUDP(t), w.proxy, "-r", strconv.Itoa(rate), "-m", strconv.Itoa(calls), "-inf", file)
	within(t, 5*time.Minute, "the calls", func() bool { _, ended := phones.ended(); return ended })
	if code, _ := phones.ended(); code != 0 {
		t.Errorf("not every call went well: sipp ended with %d", code)
	}
	w.nothingLeft()

	within(t, patience, "all live events", func() bool { return len(w.calls(client.CallEnded)) >= calls })
	if n := len(w.calls(client.CallStarted)); n != calls {
		t.Errorf("%d calls were started, want %d", n, calls)
	}
	ends := map[string]int{}
	for _, e := range w.calls(client.CallEnded) {
		ends[e.Reason+"/"+e.Disposition]++
	}
	if ends["completed/answered"] != calls || len(ends) != 1 {
		t.Errorf("calls ended so: %v", ends)
	}
}
