package actors

import (
	"context"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// seat is where a caller of this process waits for the answer to an [ask]. Whoever was
// answered leaves it to the next caller: an ask is answered once, so nothing more comes to
// it. Whoever gave up takes it along: the answer may still come.
type seat struct {
	called chan struct{} // has room for one
	alarm  *time.Timer   // nil: nobody needed it yet
}

// seats are those that are free.
type seats struct{ pool sync.Pool }

func (s *seats) take() *seat {
	if free, ok := s.pool.Get().(*seat); ok {
		return free
	}
	return &seat{called: make(chan struct{}, 1)}
}

// leave gives back the seat of a caller who was called, or whose question nobody heard.
func (s *seats) leave(free *seat) { s.pool.Put(free) }

// wait waits until the caller is called. It reports false if ctx ends first.
func (s *seat) wait(ctx context.Context) bool {
	caller, ok := ctx.(messages.Patient)
	if !ok {
		select {
		case <-s.called:
			return true
		case <-ctx.Done():
			return false
		}
	}
	gone, until := caller.Ends()
	s.setAlarm(time.Until(until))
	defer s.alarm.Stop() // nothing of it is left in its channel then
	select {
	case <-s.called:
		return true
	case <-gone:
	case <-s.alarm.C:
	}
	return false
}

func (s *seat) setAlarm(after time.Duration) {
	if s.alarm == nil {
		s.alarm = time.NewTimer(after)
		return
	}
	s.alarm.Reset(after)
}
