package scale

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// plan is how large all of it is.
type plan struct {
	sizes    []size // that are compared, the last one is the largest
	agents   int
	rounds   int
	counted  time.Duration // of a round
	dayCalls int
	looks    int // during the day
}

func planned() plan {
	if *options.full {
		return plan{
			sizes:  []size{{10_000, 1_000, 500}, {100_000, 10_000, 5_000}, {1_000_000, 100_000, 50_000}},
			agents: 256, rounds: 3, counted: 3 * time.Second, dayCalls: *options.day, looks: 10,
		}
	}
	return plan{
		sizes:  []size{{2_000, 200, 100}, {20_000, 2_000, 1_000}},
		agents: 32, rounds: 1, counted: time.Second, dayCalls: 500, looks: 2,
	}
}

// TestScale asks deployments of several sizes the same questions, and has the
// largest live through a day, and through another with a port for NATS.
func TestScale(t *testing.T) {
	p := planned()
	d := compare(t, pgtest.StartServer(t, pgtest.Options{Durable: *options.full}), p)
	d.age(t, p.dayCalls/3)
	document(t, "day", dayTable(d.day(t, p.dayCalls, p.agents, p.looks)))
	d.wantForgotten(t)
	document(t, "heard day", dayTable(d.day(t, p.dayCalls, p.agents, p.looks, "--nats-listen", "127.0.0.1:0")))
}

// compare measures each size alone, and then calls in turns. It returns the largest
// deployment, which goes on.
func compare(t *testing.T, pg *pgtest.Server, p plan) *deployment {
	t.Helper()
	var all []*deployment
	var asked []figures
	for _, n := range p.sizes {
		d := deploy(t, pg, fmt.Sprintf("of_%d", n.clients), n)
		all, asked = append(all, d), append(asked, d.ask(t))
	}
	rates := make([][]float64, len(all))
	for range p.rounds {
		for i, d := range all {
			tally := d.load(t, p.agents, p.counted/3, p.counted)
			rates[i] = append(rates[i], tally.PerSecond(tally.Calls))
		}
	}
	for i, d := range all {
		slices.Sort(rates[i])
		asked[i].add(perSecond, 0, fmt.Sprintf("calls (start + end), %d connections, any client", p.agents), rates[i][len(rates[i])/2])
		asked[i].add(mebibytes, memoryLimit, "resident after them", float64(d.server.ResidentMemory()))
		if i < len(all)-1 {
			d.stop(t)
		}
	}
	document(t, "sizes", sizesTable(p.sizes, asked))
	for _, f := range asked[len(asked)-1] {
		if f.unit == mebibytes && f.limit > 0 && f.value > f.limit { // times are the machine's
			t.Errorf("%s: %s, at most %s are allowed", f.what, f.text(), f.limitText())
		}
	}
	return all[len(all)-1]
}

// wantForgotten waits until nothing is left whose time has passed, and that the
// server says what it removed.
func (d *deployment) wantForgotten(t *testing.T) {
	t.Helper()
	client := newClient(t)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(readyLimit); d.look(t).old > 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d calls, logs and keys are there whose time has passed", d.look(t).old)
		}
	}
	text := string(d.get(t, client, http.StatusOK, "/metrics", nil).body)
	for _, what := range []string{"calls", "call_logs", "keys_and_sessions"} {
		line := fmt.Sprintf("dibs_pruned_rows_total{what=%q} ", what)
		if !strings.Contains(text, line) || strings.Contains(text, line+"0\n") {
			t.Errorf("/metrics does not say how many %s were removed", what)
		}
	}
}
