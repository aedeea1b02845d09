package admission

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dibs-calls/dibs/admission/limit"
)

const (
	every  = 100 * time.Millisecond // a window
	atMost = time.Second            // one in which little is finished

	// defaultMost bounds what all requests together hold in memory.
	defaultMost = 4096

	// Who was refused is told to come again after one to three seconds, whole ones, for
	// that is what Retry-After can say: so that not all come together.
	retryAfter = time.Second
)

// Options are those of a [Limiter]. The zero value of a field is its default.
type Options struct {
	Most  int              // requests in flight, whatever they are; default 4096
	Fixed int              // commands in flight; default: as many as are answered in good time
	Now   func() time.Time // default: time.Now; must be monotonic
	// Waited is how long whatever was to run waited for a processor, on average, since it
	// was asked last; default: what the Go scheduler says. One goroutine asks at a time.
	Waited func() time.Duration
}

// Limiter admits requests. All ways into a process share one. Its methods are safe
// for concurrent use and never wait; it starts no goroutine and needs no closing.
type Limiter struct {
	most  int
	fixed bool
	now   func() time.Time

	limit    atomic.Int64
	epoch    atomic.Uint32 // raised when the limit is lowered
	commands atomic.Int64  // starts and ends in flight
	asides   atomic.Int64  // and what is aside
	asks     atomic.Int64
	parts    atomic.Int64
	callers  [256]atomic.Int32 // commands of each
	verdicts [classes][verdicts]atomic.Uint64

	// The window under way.
	ends     atomic.Int64 // when it is over, in nanoseconds since began
	finished atomic.Int64
	took     atomic.Int64 // nanoseconds
	busy     atomic.Int64 // commands in flight when each of them was
	target   atomic.Int64 // nanoseconds, for the metrics
	waited   atomic.Int64 // nanoseconds, for the metrics

	began   time.Time
	mu      sync.Mutex
	wait    func() time.Duration // guarded by mu
	control limit.Control        // guarded by mu
	opened  time.Time            // guarded by mu: when the window began
	refused uint64               // guarded by mu: starts, when the window began
	left    int64                // guarded by mu: commands, when the window began
}

// New makes a limiter.
func New(o Options) *Limiter {
	if o.Most <= 0 {
		o.Most = defaultMost
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Waited == nil {
		o.Waited = newWaits().mean
	}
	l := &Limiter{wait: o.Waited, most: o.Most, fixed: o.Fixed > 0, now: o.Now, control: limit.New(o.Most)}
	l.began = l.now()
	l.opened = l.began
	l.ends.Store(int64(every))
	l.limit.Store(int64(l.control.Limit()))
	if l.fixed {
		l.limit.Store(int64(min(o.Fixed, o.Most)))
	}
	l.target.Store(int64(l.control.Target()))
	return l
}

// Pass is a request that was admitted. [Limiter.Leave] must be called with it, once.
type Pass struct {
	since  time.Time
	epoch  uint32
	class  Class
	caller uint8
}

// Enter admits a request or not. caller tells callers apart, by chance: any byte of
// a digest does.
func (l *Limiter) Enter(c Class, caller uint8) (Pass, bool) {
	p := Pass{since: l.now(), epoch: l.epoch.Load(), class: c, caller: caller}
	if !l.fixed && int64(p.since.Sub(l.began)) >= l.ends.Load() {
		l.tick(p.since)
	}
	v := judge(c, l.take(p), int(l.limit.Load()), l.most)
	l.verdicts[c][v].Add(1)
	if v != admitted {
		l.free(p)
		return Pass{}, false
	}
	return p, true
}

// Leave says that a request is over, and whether it was a start or an end that was
// carried out: how long these take is what the limit follows. Answers from memory say
// nothing about it.
func (l *Limiter) Leave(p Pass, done bool) {
	defer l.free(p)
	if l.fixed || !done {
		return
	}
	now := l.now()
	if p.epoch == l.epoch.Load() {
		l.took.Add(int64(now.Sub(p.since)))
		l.busy.Add(l.commands.Load())
		l.finished.Add(1)
	}
	if int64(now.Sub(l.began)) >= l.ends.Load() {
		l.tick(now)
	}
}

// take counts a request among those in flight, and says how many there are now.
func (l *Limiter) take(p Pass) load {
	var now load
	switch p.class {
	case Start, End:
		now.alike, now.caller = int(l.commands.Add(1)), int(l.callers[p.caller].Add(1))
	case Aside:
		now.alike = int(l.asides.Add(1))
	case Ask:
		now.alike = int(l.asks.Add(1))
	default:
		l.parts.Add(1)
	}
	now.all = l.InFlight()
	return now
}

func (l *Limiter) free(p Pass) {
	switch p.class {
	case Start, End:
		l.commands.Add(-1)
		l.callers[p.caller].Add(-1)
	case Aside:
		l.asides.Add(-1)
	case Ask:
		l.asks.Add(-1)
	default:
		l.parts.Add(-1)
	}
}

// tick ends the window. Whoever comes first does it; nobody waits for that.
func (l *Limiter) tick(now time.Time) {
	if !l.mu.TryLock() {
		return
	}
	defer l.mu.Unlock()
	elapsed := now.Sub(l.opened)
	if elapsed < every || elapsed < atMost && l.finished.Load() < limit.Enough {
		return
	}
	refused := l.verdicts[Start][late].Load()
	finished, took, busy := l.finished.Swap(0), l.took.Swap(0), l.busy.Swap(0)
	if elapsed >= 2*atMost { // nobody came for most of it, so what was before is long past
		finished, refused = 0, l.refused
	}
	each := max(1, finished)
	waited := l.wait()
	l.waited.Store(int64(waited))
	left := int64(l.verdicts[Start][admitted].Load()+l.verdicts[End][admitted].Load()) - l.commands.Load()
	next, lowered := l.control.Step(limit.Window{
		Finished: int(finished), Mean: time.Duration(took / each), Busy: float64(busy) / float64(each),
		Rate: float64(left-l.left) / elapsed.Seconds(), Refused: int(refused - l.refused),
		Waited: waited,
	})
	l.control, l.opened, l.refused, l.left = next, now, refused, left
	if lowered {
		l.epoch.Add(1)
	}
	l.limit.Store(int64(next.Limit()))
	l.target.Store(int64(next.Target()))
	l.ends.Store(int64(now.Sub(l.began) + every))
}

// InFlight is how many requests are in flight.
func (l *Limiter) InFlight() int {
	return int(l.commands.Load() + l.asides.Load() + l.asks.Load() + l.parts.Load())
}

// RetryAfter is when whoever was refused now should come again.
func (l *Limiter) RetryAfter() time.Duration { return retryAfter * time.Duration(1+rand.N(3)) }
