package chaos

import (
	"context"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
)

// TestChaos breaks everything that can be broken while many callers work, and
// finds every promise kept. Its flags make it as long as one likes.
func TestChaos(t *testing.T) {
	seed := *options.seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("to replay: make chaos DURATION=%v SEED=%d", *options.duration, seed)
	lasts, p := *options.duration, quick
	if lasts > 2*time.Minute {
		p = slow
	}
	l := load{
		slots: 5, callers: 4, think: 100 * time.Millisecond, entries: 300,
		patience: 300 * time.Millisecond, most: 3500 * time.Millisecond,
	}
	// What callers ask for in this time at most, with some left.
	requests := int((lasts + 2*time.Minute) / l.think * time.Duration(l.slots*l.callers))
	things := plan{
		shape: shape(*options.shape), nodes: 3, teams: requests/l.entries + l.slots, solo: true, faults: true, clocks: *options.clocks,
		disk: 96<<20 + int64(lasts.Seconds())*200<<10,
	}
	if things.clocks {
		things.binary = buildWithClock(t)
	}
	w := newWorld(t, things)
	r := w.run(l, newSchedule(seed, w.makers(), p), lasts, seed)
	r.write(t, *options.report)
}

// run has callers work and things break, repairs them, and checks everything.
func (w *world) run(l load, s *schedule, lasts time.Duration, seed uint64) *report {
	w.t.Helper()
	for _, d := range w.deployments() {
		d.book.begun = w.team.book.begun // one clock
	}
	ctx, stop := context.WithCancel(w.t.Context())
	var working sync.WaitGroup
	logs := map[*deployment]*serviceLog{}
	for i, d := range w.deployments() {
		log := &serviceLog{}
		logs[d] = log
		working.Go(func() { d.run(ctx, l, seed+uint64(i)) })
		for _, p := range d.probes(log) {
			working.Go(func() { p.run(ctx) })
		}
	}
	incidents := w.breakThings(ctx, s, lasts)
	pause(ctx, settle)
	stop()
	working.Wait()
	w.wait(w.t.Context())
	measure(incidents, logs[w.team], logs[w.solo])
	r := newReport(w, seed, lasts, incidents)
	for _, d := range w.deployments() {
		r.add(d.conclude())
	}
	return r
}

// conclude checks a deployment in which everything was repaired.
func (d *deployment) conclude() conclusion {
	d.t.Helper()
	c := conclusion{Deployment: d.name}
	folder := *options.report
	if folder != "" {
		must(d.t, os.MkdirAll(folder, 0o755))
	}
	d.expire()
	j := newJudge(d, d.snapshot())
	c.Histories = j.histories(folder, *options.keep)
	j.promises()
	d.clear()
	c.Events, c.EventsTwice = d.published()
	if c.Histories.Undecided > 0 {
		d.book.defects.addf("%d histories of %s could not be decided in time", c.Histories.Undecided, d.name)
	}
	return c
}
