package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/bench/rivals"
)

// result is what one round of one system came to.
type result struct {
	perSecond float64       // calls (start + end), or refused starts
	p50, p99  time.Duration // of a start
	cpu       time.Duration // of this process, load generator included, for each that counts
	serverCPU time.Duration // of Postgres, likewise
}

// load is what the callers of a round do, over and over.
type load func(ctx context.Context, s system, caller int, rng *rand.Rand, start func(func() error) error) (bool, error)

// calls: every caller is a user of their own, who calls a random client and
// ends the call at once.
func calls(p rivals.People) load {
	return func(ctx context.Context, s system, caller int, rng *rand.Rand, start func(func() error) error) (ok bool, err error) {
		user, client := p.Users[caller], p.Clients[rng.IntN(len(p.Clients))]
		err = start(func() error { ok, err = s.start(ctx, user, client); return err })
		if err != nil || !ok {
			return false, err
		}
		return true, s.end(ctx, user)
	}
}

// refusals: everybody wants the client that somebody else is calling.
func refusals(p rivals.People, client uuid.UUID) load {
	return func(ctx context.Context, s system, caller int, _ *rand.Rand, start func(func() error) error) (bool, error) {
		var ok bool
		err := start(func() (err error) { ok, err = s.start(ctx, p.Users[caller], client); return err })
		return !ok, err
	}
}

// each divides what was used in warm-up and measurement among what was counted
// in the measurement.
func each(used, d, warmUp time.Duration, done int) time.Duration {
	return time.Duration(float64(used) * d.Seconds() / (warmUp + d).Seconds() / float64(max(done, 1)))
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// newHistogram counts nanoseconds up to a minute, exact to a percent. It is small:
// a thousand of them share the caches with what is measured.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, time.Minute.Nanoseconds(), 2) }

// measure runs callers for a warm-up and then for d, and counts what succeeds.
func measure(ctx context.Context, s system, server serverCPU, l load, callers int, warmUp, d time.Duration) (result, error) {
	begin := time.Now().Add(warmUp)
	end := begin.Add(d)
	type tally struct {
		starts *hdrhistogram.Histogram
		done   int
		err    error
	}
	tallies := make([]tally, callers)
	cpuBefore, serverBefore := cpuTime(), server.used()
	var wg sync.WaitGroup
	for c := range callers {
		tallies[c].starts = newHistogram()
		wg.Go(func() {
			t := &tallies[c]
			rng := rand.New(rand.NewPCG(uint64(c), uint64(begin.UnixNano())))
			for time.Now().Before(end) {
				ok, err := l(ctx, s, c, rng, func(start func() error) error {
					before := time.Now()
					err := start()
					if before.After(begin) {
						_ = t.starts.RecordValue(time.Since(before).Nanoseconds())
					}
					return err
				})
				if err != nil {
					t.err = err
					return
				}
				if now := time.Now(); ok && now.After(begin) && now.Before(end) {
					t.done++
				}
			}
		})
	}
	wg.Wait()
	cpu, serverCPU := cpuTime()-cpuBefore, server.used()-serverBefore
	all, done := newHistogram(), 0
	for _, t := range tallies {
		if t.err != nil {
			return result{}, t.err
		}
		all.Merge(t.starts)
		done += t.done
	}
	return result{
		cpu:       each(cpu, d, warmUp, done),
		serverCPU: each(serverCPU, d, warmUp, done),
		perSecond: float64(done) / d.Seconds(),
		p50:       time.Duration(all.ValueAtQuantile(50)),
		p99:       time.Duration(all.ValueAtQuantile(99)),
	}, nil
}
