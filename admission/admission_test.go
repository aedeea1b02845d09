package admission

import (
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/admission/limit"
)

// Processes of different kinds. The capacity in starts a second is half of what the
// processors do in requests: each start has its end.
func processes() map[string]process {
	return map[string]process{
		"two cores, fast store":  {cpu: 10_000, store: time.Millisecond},
		"a race detector":        {cpu: 600, store: 5 * time.Millisecond},
		"a store far away":       {cpu: 10_000, store: 40 * time.Millisecond},
		"many cores, fast store": {cpu: 20_000, store: time.Millisecond},
	}
}

// TestOverload: at twice and four times the capacity those who are admitted are
// answered nearly as soon as those before; as many are admitted as can be served;
// ends go through; and when the load falls nobody is refused.
func TestOverload(t *testing.T) {
	for name, p := range processes() {
		t.Run(name, func(t *testing.T) {
			capacity := p.cpu / 2
			w := newWorld(t, p)
			w.run(time.Second, offer{rate: capacity / 2})
			half := w.run(time.Second, offer{rate: capacity / 2})
			if half.refused > 0 {
				t.Errorf("%d refused at half the capacity", half.refused)
			}
			// Floor requests must be able to be in flight, however slow they are.
			bound := 3 * max(half.p99(), limit.GoodTime, time.Duration(limit.Floor/p.cpu*float64(time.Second)))
			for _, times := range []float64{2, 4} {
				w.run(1500*time.Millisecond, offer{rate: times * capacity}) // finds its limit
				over := w.run(time.Second, offer{rate: times * capacity})
				t.Logf("%v × %v: p99 %v (half: %v), %.0f starts/s of %.0f, limit %d, target %v", name, times, over.p99(), half.p99(),
					float64(len(over.took)), capacity, w.limiter.limit.Load(), time.Duration(w.limiter.target.Load()))
				if over.p99() > bound {
					t.Errorf("at %v times the capacity the p99 is %v, at half %v", times, over.p99(), half.p99())
				}
				if served := float64(len(over.took)); served < 0.85*capacity { // some time is kept for who has yet to be looked at
					t.Errorf("at %v times the capacity %.0f starts a second were admitted of %.0f that can be", times, served, capacity)
				}
				if over.endsRefused > 0 {
					t.Errorf("%d ends were refused", over.endsRefused)
				}
				if over.most > 1000 {
					t.Errorf("%d were in flight", over.most)
				}
			}
			if after := w.run(time.Second, offer{rate: capacity / 2}); after.share() > 0.01 {
				t.Errorf("%.1f %% refused when the load had fallen", 100*after.share())
			}
		})
	}
}

// TestRefusalsTakeTime: where a refusal costs a sixth of a start, four times the capacity
// leaves two thirds of it, and twice as much nothing at all for who comes last. Whoever is
// admitted is answered nearly as soon as at half the load even so, and as many are as there
// is time for.
func TestRefusalsTakeTime(t *testing.T) {
	p := process{cpu: 10_000, store: 2 * time.Millisecond, refusal: 1. / 6}
	capacity := p.cpu / 2
	w := newWorld(t, p)
	w.run(time.Second, offer{rate: capacity / 2})
	half := w.run(time.Second, offer{rate: capacity / 2})
	for _, times := range []float64{2, 4} {
		w.run(1500*time.Millisecond, offer{rate: times * capacity})
		over := w.run(3*time.Second, offer{rate: times * capacity})
		room := (p.cpu - times*capacity*p.refusal) / (2 - p.refusal) // starts a second that there is time for
		served := float64(len(over.took)) / 3
		t.Logf("× %v: p99 %v (half: %v), %.0f starts/s of %.0f, limit %d, waited %v", times, over.p99(), half.p99(), served, room,
			w.limiter.limit.Load(), time.Duration(w.limiter.waited.Load()))
		if over.p99() > 3*max(half.p99(), 10*time.Millisecond) {
			t.Errorf("at %v times the capacity the p99 is %v, at half %v", times, over.p99(), half.p99())
		}
		if served < 0.85*room {
			t.Errorf("at %v times the capacity %.0f starts a second were admitted of %.0f that there is time for", times, served, room)
		}
	}
	if after := w.run(time.Second, offer{rate: capacity / 2}); after.share() > 0.01 {
		t.Errorf("%.1f %% refused when the load had fallen", 100*after.share())
	}
}

// TestStoreStalls: for five seconds nothing is finished. Memory is bounded by the
// limit, and those who come when it is over are admitted, although the ones before
// took five seconds.
func TestStoreStalls(t *testing.T) {
	p := processes()["two cores, fast store"]
	const begins, ends = 5 * time.Second, 10 * time.Second
	p.stalled = func(now time.Duration) time.Duration {
		if now >= begins && now < ends {
			return ends
		}
		return 0
	}
	w := newWorld(t, p)
	w.run(begins, offer{rate: 2500})
	during := w.run(ends-begins, offer{rate: 2500})
	if during.refused == 0 || during.most > ahead*limit.Rest {
		t.Errorf("during the stall %d were refused, %d in flight", during.refused, during.most)
	}
	w.run(200*time.Millisecond, offer{rate: 2500}) // those that waited are answered
	for range 20 {
		if after := w.run(200*time.Millisecond, offer{rate: 2500}); after.refused > 0 {
			t.Errorf("%v: %d of %d refused after the stall, limit %d", w.now, after.refused, len(after.took)+after.refused, w.limiter.limit.Load())
		}
	}
}

// TestBursts: five hundred at once, every other second, on a process that has time in
// between. They are no overload.
func TestBursts(t *testing.T) {
	w := newWorld(t, processes()["two cores, fast store"])
	for range 10 {
		for range 500 {
			w.come(&request{class: Start})
		}
		if saw := w.run(2*time.Second, offer{rate: 500}); saw.refused > 0 {
			t.Errorf("%d refused", saw.refused)
		}
	}
}

// TestStoreBecomesSlow: a process learns that its store is slow for good, whatever it
// was before, and does not keep people out for it.
func TestStoreBecomesSlow(t *testing.T) {
	w := newWorld(t, processes()["two cores, fast store"])
	w.run(3*time.Second, offer{rate: 2500})
	w.process.store = 60 * time.Millisecond // 300 in flight
	w.run(3*time.Second, offer{rate: 2500})
	if saw := w.run(3*time.Second, offer{rate: 2500}); saw.share() > 0.01 {
		t.Errorf("%.1f %% refused", 100*saw.share())
	}
}

// TestGreedyCaller: whoever asks little is not kept out by who asks too much.
func TestGreedyCaller(t *testing.T) {
	w := newWorld(t, processes()["two cores, fast store"])
	greedy, modest := offer{rate: 20_000, caller: 1}, offer{rate: 200, caller: 2}
	w.run(3*time.Second, greedy, modest)
	saw := w.run(2*time.Second, greedy, modest)
	refused := func(caller int) float64 {
		return float64(saw.refusedOfCaller[caller]) / float64(saw.refusedOfCaller[caller]+saw.takenOfCaller[caller])
	}
	if refused(2) > 0.02 || refused(1) < 0.5 {
		t.Errorf("of the modest %.1f %% were refused, of the greedy %.1f", 100*refused(2), 100*refused(1))
	}
}

// TestPlaces: who is admitted when how much is in flight.
func TestPlaces(t *testing.T) {
	const most = 3000
	for _, tt := range []struct {
		class Class
		load  load
		want  verdict
	}{
		{Start, load{all: 100, alike: 100, caller: 50}, admitted},
		{Start, load{all: 101, alike: 101, caller: 50}, late},
		{Start, load{all: 125, alike: 125, caller: 12}, admitted},
		{Start, load{all: 126, alike: 126, caller: 1}, late},
		{End, load{all: 2048, alike: 2048, caller: 2048}, admitted},
		{End, load{all: 2049, alike: 2049, caller: 1}, late},
		{Aside, load{all: 450, alike: limit.Floor / 2}, admitted},
		{Aside, load{all: 450, alike: limit.Floor/2 + 1}, late},
		{Part, load{all: 3000}, admitted},
		{Part, load{all: 3001}, full},
		{End, load{all: 3001, alike: 1}, full},
	} {
		if got := judge(tt.class, tt.load, 100, most); got != tt.want {
			t.Errorf("class %d, %+v: %d, want %d", tt.class, tt.load, got, tt.want)
		}
	}
}

// TestCounts: whatever happens, nobody is in flight in the end.
func TestCounts(t *testing.T) {
	l := New(Options{Most: 50, Fixed: 3})
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 2000 {
				if p, ok := l.Enter(Class(i%int(classes)), uint8(n)); ok {
					l.Leave(p, i%3 == 0)
				}
			}
		})
	}
	all.Wait()
	if l.InFlight() != 0 || l.commands.Load() != 0 || l.asides.Load() != 0 {
		t.Errorf("%d in flight, %d commands, %d aside", l.InFlight(), l.commands.Load(), l.asides.Load())
	}
	for i := range l.callers {
		if n := l.callers[i].Load(); n != 0 {
			t.Errorf("caller %d: %d", i, n)
		}
	}
	if l.limit.Load() != 3 {
		t.Errorf("a fixed limit became %d", l.limit.Load())
	}
}

// BenchmarkAdmission is what every request pays.
func BenchmarkAdmission(b *testing.B) {
	l := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		p, _ := l.Enter(Start, 1)
		l.Leave(p, true)
	}
}
