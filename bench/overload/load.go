package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/dibs-calls/dibs/fleet"
)

// stage is a time during which agents want to start calls, so many a second,
// whatever becomes of those before (an open loop): overload does not make callers
// go away. With a rate of zero they run flat out (a closed loop), which measures
// the capacity.
type stage struct {
	name    string
	rate    float64 // starts a second; 0: flat out
	agents  int     // at most so many requests at a time, each with a connection
	anew    bool    // each start comes by a new connection
	warmUp  time.Duration
	counted time.Duration
}

// figures are what a stage came to. A start that was admitted is one that was
// carried out, or refused for somebody else's call.
type figures struct {
	Stage              string
	Offered            float64 // starts a second
	Admitted, Refused  float64 // starts a second
	P50, P99, EndP99   float64 // ms; of admitted starts, and of ends
	RefusedP50         float64 // ms until a refusal
	RefusedP99         float64
	EndsRefused, Wrong int
	Backlog            int // starts that nobody was left to ask for
	RSS                int64
	Probes             probes
}

// run is one stage under way.
type run struct {
	stage
	network fleet.Network
	users   []string
	clients []string

	begin, end time.Time // of what is counted
	due        chan time.Time
	late       atomic.Int64 // arrivals that found due full
	shards     [16]shard
}

// shard is what some agents saw.
type shard struct {
	mu                     sync.Mutex
	starts, ends, refusals *hdrhistogram.Histogram // µs
	endsRefused, wrong     int
	details                map[string]int
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Minute.Microseconds(), 3)
}

func (r *run) do(ctx context.Context) {
	for i := range r.shards {
		r.shards[i] = shard{starts: newHistogram(), ends: newHistogram(), refusals: newHistogram(), details: map[string]int{}}
	}
	r.begin = time.Now().Add(r.warmUp)
	r.end = r.begin.Add(r.counted)
	r.due = make(chan time.Time, 1<<20)
	var agents sync.WaitGroup
	for n := range r.agents {
		agents.Go(func() { r.agent(ctx, n) })
	}
	if r.rate > 0 {
		r.arrivals(ctx)
	}
	close(r.due)
	agents.Wait()
}

// arrivals says when starts are due: independent of each other (a Poisson
// process), as calls are.
func (r *run) arrivals(ctx context.Context) {
	rng := rand.New(rand.NewPCG(1, 2))
	pause := func() time.Duration { return time.Duration(rng.ExpFloat64() / r.rate * float64(time.Second)) }
	for next := time.Now(); next.Before(r.end) && ctx.Err() == nil; {
		now := time.Now()
		for ; !next.After(now); next = next.Add(pause()) {
			select {
			case r.due <- next:
			default:
				r.late.Add(1)
			}
		}
		time.Sleep(min(time.Until(next), time.Millisecond))
	}
}

// agent is a user with a connection, who takes whatever start is due. Those that
// are not asked for before the stage is over are left.
func (r *run) agent(ctx context.Context, n int) {
	rng := rand.New(rand.NewPCG(uint64(n), uint64(r.begin.UnixNano())))
	link := r.network.Link()
	defer func() { link.Close() }()
	s := &r.shards[n%len(r.shards)]
	for ctx.Err() == nil && time.Now().Before(r.end) {
		meant := time.Now()
		if r.rate > 0 {
			at, more := <-r.due
			if !more {
				return
			}
			meant = at
		}
		if r.anew {
			link.Close() // the next request connects
		}
		a := link.Start(r.users[n], r.clients[rng.IntN(len(r.clients))], 0)
		s.start(r, meant, a)
		if a.Outcome == fleet.NotNow && r.rate == 0 {
			time.Sleep(min(a.Wait, time.Until(r.end))) // as it was asked to
		}
		if a.Outcome != fleet.Done {
			continue
		}
		r.hangUp(s, link, n)
	}
}

// hangUp ends the call, however often it has to ask.
func (r *run) hangUp(s *shard, link fleet.Link, n int) {
	for meant := time.Now(); time.Since(meant) < 20*time.Second; time.Sleep(50 * time.Millisecond) {
		a := link.End(r.users[n], "")
		if s.end(r, meant, a); a.Outcome == fleet.Done {
			return
		}
	}
}

func (r *run) counts(meant time.Time) bool { return !meant.Before(r.begin) && meant.Before(r.end) }

func (s *shard) start(r *run, meant time.Time, a fleet.Answer) {
	if !r.counts(meant) {
		return
	}
	took := time.Since(meant).Microseconds()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch a.Outcome {
	case fleet.Done, fleet.ClientBusy, fleet.UserBusy:
		_ = s.starts.RecordValue(took)
	case fleet.NotNow:
		_ = s.refusals.RecordValue(took)
		s.details[a.Detail]++
	default:
		s.wrong++
		s.details[a.Detail]++
	}
}

func (s *shard) end(r *run, meant time.Time, a fleet.Answer) {
	if !r.counts(meant) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch a.Outcome {
	case fleet.Done:
		_ = s.ends.RecordValue(time.Since(meant).Microseconds())
	case fleet.NotNow:
		s.endsRefused++
	default:
		s.wrong++
		s.details["end: "+a.Detail]++
	}
}

// figures adds up what was seen.
func (r *run) figures() (f figures, details map[string]int) {
	starts, ends, refusals, details := newHistogram(), newHistogram(), newHistogram(), map[string]int{}
	f.Stage = r.name
	for i := range r.shards {
		s := &r.shards[i]
		starts.Merge(s.starts)
		ends.Merge(s.ends)
		refusals.Merge(s.refusals)
		f.EndsRefused += s.endsRefused
		f.Wrong += s.wrong
		for d, n := range s.details {
			details[d] += n
		}
	}
	seconds := r.counted.Seconds()
	ms := func(h *hdrhistogram.Histogram, q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	f.Offered, f.Admitted, f.Refused = r.rate, float64(starts.TotalCount())/seconds, float64(refusals.TotalCount())/seconds
	f.P50, f.P99, f.EndP99 = ms(starts, 50), ms(starts, 99), ms(ends, 99)
	f.RefusedP50, f.RefusedP99 = ms(refusals, 50), ms(refusals, 99)
	f.Backlog = len(r.due) + int(r.late.Load())
	return f, details
}
