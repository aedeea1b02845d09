package chaos

import (
	"context"
	"math/rand/v2"
	"path/filepath"
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
	shapes := []shape{shape(*options.shape)}
	if *options.shape == "all" {
		shapes = []shape{shared, cluster, peers}
	}
	binary := ""
	if *options.clocks {
		binary = buildWithClock(t)
	}
	r := newReport(seed, shapes)
	t.Logf("to replay: %s", r.replay())
	for _, s := range shapes {
		t.Run(string(s), func(t *testing.T) { r.add(breakAll(t, s, seed, *options.duration/time.Duration(len(shapes)), binary)) })
	}
	r.write(t, *options.report)
}

// breakAll is the part of a run that is of one shape.
func breakAll(t *testing.T, s shape, seed uint64, lasts time.Duration, binary string) part {
	t.Helper()
	p := quick
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
		shape: s, nodes: 3, teams: requests/l.entries + l.slots, solo: true, faults: true, binary: binary, clocks: binary != "",
		disk: 96<<20 + int64(lasts.Seconds())*200<<10,
	}
	w := newWorld(t, things)
	return w.run(l, newSchedule(seed, w.makers(), p), lasts, seed)
}

// run has callers work and things break, repairs them, and checks everything.
func (w *world) run(l load, s *schedule, lasts time.Duration, seed uint64) part {
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
	found := part{Shape: w.shape, Lasted: w.team.book.now(), Incidents: incidents, LeftOut: w.leftOut}
	for _, d := range w.deployments() {
		c := d.conclude(w.pictures())
		c.Away = logs[d].away(found.Lasted)
		found.Results = append(found.Results, c)
	}
	return found
}

// pictures is the folder for pictures of histories; empty: there are none.
func (w *world) pictures() string {
	if *options.report == "" {
		return ""
	}
	return filepath.Join(*options.report, string(w.shape))
}

// conclude checks a deployment in which everything was repaired.
func (d *deployment) conclude(folder string) conclusion {
	d.t.Helper()
	c := conclusion{Deployment: d.name}
	d.expire()
	j := newJudge(d, d.snapshot())
	c.Histories = j.histories(folder, *options.keep)
	j.promises()
	d.clear()
	c.Events, c.EventsTwice = d.published()
	if c.Histories.Undecided > 0 {
		d.book.defects.addf("%d histories of %s could not be decided in time", c.Histories.Undecided, d.name)
	}
	b := d.book
	c.Starts, c.Ends, c.Renewals, c.Reads = b.starts.Load(), b.ends.Load(), b.renewals.Load(), b.reads.Load()
	c.Conflicts, c.Lost, c.Refused, c.Repeated = b.conflicts.Load(), b.lost.Load(), b.refused.Load(), b.repeated.Load()
	c.Violations, c.Notes = b.defects.all(), b.notes.all()
	for _, n := range d.nodes {
		c.Restarts += n.deaths
	}
	return c
}
