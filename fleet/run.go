package fleet

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Fleet is whom a run needs.
type Fleet struct {
	Network Network
	Users   []string // ids, one for each agent
	Clients []string // ids
	// Watch, if there is one, is told how far the run is, now and then, by one
	// goroutine.
	Watch func(Progress)
	// Began and Over, if they are there, are called when counting begins and ends.
	Began, Over func()
}

// Progress is how far a run is.
type Progress struct {
	Elapsed time.Duration
	// Calls, Requests and Wrong were seen since the last time, in Since.
	Since                  time.Duration
	Calls, Requests, Wrong int
	Slowest                time.Duration // latency among them
	Broken                 int           // in all
}

const (
	collectEvery = 50 * time.Millisecond
	watchEvery   = 500 * time.Millisecond
	shards       = 16
)

// defaultLease is what a server gives a call that asks for none.
const defaultLease = 2 * time.Hour

// Run carries out a plan. When ctx ends before the plan does, what was seen is
// returned with ctx's error; agents end the calls that they are on.
func Run(ctx context.Context, p Plan, f Fleet) (*Tally, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if len(f.Users) < p.Agents || len(f.Clients) < p.Clients {
		return nil, errors.New("there are fewer users or clients than the plan needs")
	}
	lease := p.Lease
	if lease == 0 {
		lease = defaultLease
	}
	r := &run{plan: &p, fleet: f, began: time.Now(), tally: newTally(&p), checker: NewChecker(lease), senders: make([]sender, p.Agents)}
	r.ids = make(map[string]struct{}, len(f.Users)+len(f.Clients))
	for _, id := range slices.Concat(f.Users, f.Clients) {
		r.ids[id] = struct{}{}
	}
	var agents sync.WaitGroup
	for n := range p.Agents {
		agents.Go(func() { r.drive(ctx, n) })
	}
	done := make(chan struct{})
	go func() { agents.Wait(); close(done) }()
	r.collect(done)
	r.tally.Judged, r.tally.Others = r.checker.Judged, r.checker.Others
	r.tally.Broken, r.tally.Violations = r.checker.Broken, r.checker.Violations
	if now := r.now(); now < p.End() {
		r.tally.Counted = max(time.Millisecond, now-p.Begin())
	}
	return r.tally, ctx.Err()
}

// run is one run. Agents write shards and senders; the rest is collect's.
type run struct {
	plan  *Plan
	fleet Fleet
	began time.Time
	ids   map[string]struct{} // of the fleet; read only

	shards  [shards]shard
	senders []sender

	tally   *Tally
	checker *Checker
}

// sender says since when an agent has had a request under way, so that it is
// known what may still come. Idle and preparing stand for themselves.
type sender struct {
	since atomic.Int64
	_     [56]byte // a cache line each
}

const (
	idle      = int64(0)
	preparing = int64(-1) // about to read the clock
)

// shard is what some agents have seen and nobody has collected.
type shard struct {
	mu   sync.Mutex
	seen []note
}

type note struct {
	Seen
	detail string
}

func (r *run) now() time.Duration { return time.Since(r.began) }

// drive is the life of one agent.
func (r *run) drive(ctx context.Context, n int) {
	agent := NewAgent(r.plan, n)
	link := r.fleet.Network.Link()
	defer link.Close()
	call := ""
	for {
		step := agent.Next()
		// Nobody is left on a call, even when the time is over.
		over := !r.wait(ctx, min(step.At, r.plan.End())) || r.now() >= r.plan.End()
		switch {
		case over && step.Verb == Double: // it is on a call, and only ends that
			agent.Saw(UserBusy)
			continue
		case over && step.Verb != End:
			return
		}
		a, s := r.send(link, n, step, call)
		if step.Verb == Start {
			call = a.Call
		}
		r.note(n, note{s, a.Detail})
		agent.Saw(a.Outcome)
		if over && (a.Outcome == Unknown || a.Outcome == NotNow) {
			return // its lease will end it
		}
		if a.Outcome == NotNow && r.plan.Flat() {
			r.wait(ctx, r.now()+max(a.Wait, 10*time.Millisecond)) // or it would ask without a break
		}
	}
}

// send carries out one step.
func (r *run) send(link Link, n int, step Step, call string) (Answer, Seen) {
	mine := &r.senders[n].since
	mine.Store(preparing)
	sent := r.now()
	mine.Store(max(1, int64(sent)))
	user := r.fleet.Users[n]
	var a Answer
	switch step.Verb {
	case Start, Double:
		a = link.Start(user, r.fleet.Clients[step.Client], r.plan.Lease)
	case End:
		a = link.End(user, call)
	case Look:
		a = link.Look(r.fleet.Clients[step.Client])
	case List:
		a = link.List()
	}
	s := Seen{Verb: step.Verb, Outcome: a.Outcome, User: n, Client: step.Client, Meant: step.At, Sent: sent, Got: r.now(), Token: a.Token}
	if r.plan.Flat() {
		s.Meant = sent
	}
	if a.Because != "" {
		_, ours := r.ids[a.Because]
		s.Other = !ours
	}
	return a, s
}

// note hands on what was seen. The request counts as under way until then.
func (r *run) note(n int, s note) {
	sh := &r.shards[n%shards]
	sh.mu.Lock()
	sh.seen = append(sh.seen, s)
	sh.mu.Unlock()
	r.senders[n].since.Store(idle)
}

// wait waits until at; false: ctx ended before.
func (r *run) wait(ctx context.Context, at time.Duration) bool {
	d := at - r.now()
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// collect counts and checks what agents saw, until all are done.
func (r *run) collect(done <-chan struct{}) {
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	began, over := r.at(r.plan.Begin(), r.fleet.Began), r.at(r.plan.End(), r.fleet.Over)
	defer began()
	defer over()
	var p Progress
	for {
		select {
		case <-done:
			r.gather(&p)
			r.checker.Advance(never)
			return
		case <-ticker.C:
			before := r.settled()
			r.gather(&p)
			r.checker.Advance(before)
			r.watch(&p)
		}
	}
}

// at calls f at a time of the run; what it returns calls that off.
func (r *run) at(at time.Duration, f func()) (stop func()) {
	if f == nil {
		return func() {}
	}
	timer := time.AfterFunc(at-r.now(), f)
	return func() { timer.Stop() }
}

// settled is a time before which no request was sent that is still under way.
func (r *run) settled() time.Duration {
	before := int64(r.now())
	for i := range r.senders {
		switch since := r.senders[i].since.Load(); since {
		case idle:
		case preparing:
			return 0
		default:
			before = min(before, since)
		}
	}
	return time.Duration(before)
}

// gather empties the shards.
func (r *run) gather(p *Progress) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		seen := sh.seen
		sh.seen = make([]note, 0, len(seen))
		sh.mu.Unlock()
		for _, s := range seen {
			r.tally.add(s.Seen, s.detail)
			if r.plan.Load == Calls {
				r.checker.Add(s.Seen)
			}
			p.add(s.Seen)
		}
	}
}

func (p *Progress) add(s Seen) {
	p.Requests++
	switch {
	case s.Verb == End && s.Outcome == Done:
		p.Calls++
	case s.Outcome == Unknown || s.Outcome == Failed:
		p.Wrong++
	}
	p.Slowest = max(p.Slowest, s.Got-s.Meant)
}

// watch tells how far the run is, if it is time to.
func (r *run) watch(p *Progress) {
	if r.fleet.Watch == nil {
		return
	}
	now := r.now()
	if p.Since = now - p.Elapsed; p.Since < watchEvery {
		return
	}
	p.Elapsed, p.Broken = now, r.checker.Broken
	r.fleet.Watch(*p)
	*p = Progress{Elapsed: now}
}
