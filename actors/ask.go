package actors

import (
	"fmt"
	"sync/atomic"
)

// ask is a caller who waits for one answer.
type ask[A any] struct {
	answered atomic.Bool
	given    A               // written once, before the caller is called, and read after that
	call     chan<- struct{} // of the caller's seat
}

func askFrom[A any](at *seat) ask[A] { return ask[A]{call: at.called} }

// answer never blocks. The first answer counts: a second one can only come
// from a shell that gave up after its machine had answered.
func (a *ask[A]) answer(v A) {
	if a.answered.Swap(true) {
		return
	}
	a.given = v
	a.call <- struct{}{} // has room: it is the only one, and the seat is nobody else's yet
}

// reply gives an answer to whoever waits for it: a caller of this process, or one of
// another node. It reports whether it knows such a caller.
func reply[A any](to any, v A) bool {
	switch to := to.(type) {
	case *ask[A]:
		to.answer(v)
	case *farAsk[A]:
		to.answer(v)
	default:
		return false
	}
	return true
}

// mustReply is reply to somebody who surely waits.
func mustReply[A any](to any, v A) {
	if !reply(to, v) {
		panic(fmt.Sprintf("actors: an answer for %T", to))
	}
}
