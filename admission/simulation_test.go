package admission

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// process is a dibs as admission sees it, in virtual time: a request takes its
// share of the processors, in turns with all others in flight (processor sharing),
// and then waits for the store.
type process struct {
	cpu   float64       // requests that the processors do a second
	store time.Duration // what each waits besides
	// refusal is what it takes to refuse a request, of what it takes to carry one out.
	refusal float64
	// stalled, if it is there, says until when the store does not answer.
	stalled func(now time.Duration) time.Duration
}

// world is a process under load, and what its callers saw.
type world struct {
	t       *testing.T
	process process
	limiter *Limiter
	rng     *rand.Rand

	now    time.Duration
	events events
	served float64 // of each request in flight on the processors (virtual time of processor sharing)
	at     time.Duration
	active active // on the processors
	answered
}

// request is one start or end.
type request struct {
	pass   Pass
	class  Class
	caller uint8
	came   time.Duration
	until  float64 // served enough
	turned bool    // away, and is to be told
}

// answered is what became of requests since the last [world.take].
type answered struct {
	took            []time.Duration // starts
	refused, ends   int
	endsRefused     int
	most            int // in flight
	refusedOfCaller [256]int
	takenOfCaller   [256]int
}

// offer is a load: starts a second, each followed by an end.
type offer struct {
	rate   float64
	caller uint8
}

type event struct {
	at time.Duration
	do func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// active are requests by when they are done.
type active []*request

func (a active) Len() int           { return len(a) }
func (a active) Less(i, j int) bool { return a[i].until < a[j].until }
func (a active) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *active) Push(x any)        { *a = append(*a, x.(*request)) }
func (a *active) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func newWorld(t *testing.T, p process) *world {
	w := &world{t: t, process: p, rng: rand.New(rand.NewPCG(1, 2))}
	start := time.Unix(0, 0)
	w.limiter = New(Options{Now: func() time.Time { return start.Add(w.now) }, Waited: w.waited})
	return w
}

func (w *world) after(d time.Duration, do func()) { heap.Push(&w.events, event{w.now + d, do}) }

// run lets time pass under these loads.
func (w *world) run(d time.Duration, offers ...offer) answered {
	end := w.now + d
	for _, o := range offers {
		w.arrive(o, end)
	}
	w.until(end)
	saw := w.answered
	w.answered = answered{}
	return saw
}

func (w *world) arrive(o offer, end time.Duration) {
	pause := time.Duration(w.rng.ExpFloat64() / o.rate * float64(time.Second))
	if w.now+pause >= end {
		return
	}
	w.after(pause, func() {
		w.come(&request{class: Start, caller: o.caller})
		w.arrive(o, end)
	})
}

func (w *world) come(r *request) {
	r.came = w.now
	var ok bool
	if r.pass, ok = w.limiter.Enter(r.class, r.caller); !ok {
		w.refuse()
		if r.class == End {
			w.endsRefused++
			w.after(time.Second, func() { w.come(r) }) // it comes again
			return
		}
		w.refused++
		w.refusedOfCaller[r.caller]++
		return
	}
	w.most = max(w.most, w.limiter.InFlight())
	w.takenOfCaller[r.caller]++
	w.serve()
	r.until = w.served + 0.5 + w.rng.Float64() // a request is one, give or take a half
	heap.Push(&w.active, r)
}

// refuse takes time of the processors for a refusal.
func (w *world) refuse() {
	if w.process.refusal > 0 {
		w.serve()
		heap.Push(&w.active, &request{turned: true, until: w.served + w.process.refusal})
	}
}

// waited is how long what is to run waits for a processor, where a request has half a
// dozen turns.
func (w *world) waited() time.Duration {
	return time.Duration(float64(len(w.active)) / w.process.cpu / 6 * float64(time.Second))
}

// serve brings the processors up to now.
func (w *world) serve() {
	if n := len(w.active); n > 0 {
		w.served += (w.now - w.at).Seconds() * w.process.cpu / float64(n)
	}
	w.at = w.now
}

// until lets everything happen that happens before end.
func (w *world) until(end time.Duration) {
	for {
		at, done := end, false
		if len(w.active) > 0 {
			left := max(0, w.active[0].until-w.served) * float64(len(w.active)) / w.process.cpu
			if next := w.at + time.Duration(left*float64(time.Second)) + 1; next < at {
				at, done = next, true
			}
		}
		if len(w.events) > 0 && w.events[0].at <= at {
			e := heap.Pop(&w.events).(event)
			w.now = max(w.now, e.at)
			e.do()
			continue
		}
		w.now = max(w.now, at)
		w.serve()
		if !done {
			return
		}
		if r := heap.Pop(&w.active).(*request); !r.turned {
			w.store(r)
		}
	}
}

// store has a request wait for the store, and answers it.
func (w *world) store(r *request) {
	wait := w.process.store
	if w.process.stalled != nil {
		wait = max(wait, w.process.stalled(w.now)-w.now)
	}
	w.after(wait, func() {
		w.limiter.Leave(r.pass, true)
		if r.class == End {
			w.ends++
			return
		}
		w.took = append(w.took, w.now-r.came)
		w.come(&request{class: End, caller: r.caller})
	})
}

// p99 is what one start in a hundred takes longer than.
func (a answered) p99() time.Duration {
	if len(a.took) == 0 {
		return 0
	}
	slices.Sort(a.took)
	return a.took[len(a.took)*99/100]
}

// share of the starts that were refused.
func (a answered) share() float64 {
	return float64(a.refused) / float64(max(1, a.refused+len(a.took)))
}
