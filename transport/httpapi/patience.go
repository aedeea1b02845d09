package httpapi

import (
	"context"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// patience is the context of a request that may take until a moment. Most requests about
// calls are answered without waiting for anything, and a timer that nobody waits for costs
// as much as all else that they allocate; so the standard library's context is made when
// somebody first asks for the end, and has its say from then on. The engine, which waits
// for nearly every start and end, does not ask: it has timers of its own (see
// [messages.Patient]).
//
// It may be used from several goroutines. It is part of an exchange, and so not used
// again for another request.
type patience struct {
	parent context.Context
	until  time.Time

	mu     sync.Mutex
	timed  context.Context    // nil: nobody has waited; guarded by mu
	cancel context.CancelFunc // of timed; guarded by mu
	over   bool               // the request is over; guarded by mu
}

var (
	_ context.Context  = (*patience)(nil)
	_ messages.Patient = (*patience)(nil)
)

// begin has the context end after d, or with parent if that ends before.
func (p *patience) begin(parent context.Context, d time.Duration) {
	p.parent, p.until = parent, time.Now().Add(d)
	if before, ok := parent.Deadline(); ok && before.Before(p.until) {
		p.until = before
	}
}

// end ends the context.
func (p *patience) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.cancel != nil {
		p.cancel()
	}
}

// wait returns the context that knows when this one ends.
func (p *patience) wait() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timed == nil {
		p.timed, p.cancel = context.WithDeadline(p.parent, p.until)
		if p.over {
			p.cancel()
		}
	}
	return p.timed
}

// Ends implements [messages.Patient].
func (p *patience) Ends() (gone <-chan struct{}, until time.Time) { return p.parent.Done(), p.until }

// Deadline implements [context.Context].
func (p *patience) Deadline() (time.Time, bool) { return p.until, true }

// Done implements [context.Context].
func (p *patience) Done() <-chan struct{} { return p.wait().Done() }

// Err implements [context.Context].
func (p *patience) Err() error { return p.wait().Err() }

// Value implements [context.Context]. Once there is a context with a timer it answers: the
// standard library finds it by a value, and ends contexts made of this one with it.
func (p *patience) Value(key any) any {
	p.mu.Lock()
	from := p.timed
	p.mu.Unlock()
	if from == nil {
		from = p.parent
	}
	return from.Value(key)
}
