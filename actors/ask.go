package actors

import (
	"fmt"
	"sync/atomic"
)

// ask is a caller who waits for one answer.
type ask[A any] struct {
	answered atomic.Bool
	given    A             // written once, before done is closed, and read after that
	done     chan struct{} // without room for the answer, which would be one more allocation
}

func newAsk[A any]() *ask[A] { return &ask[A]{done: make(chan struct{})} }

// answer never blocks. The first answer counts: a second one can only come
// from a shell that gave up after its machine had answered.
func (a *ask[A]) answer(v A) {
	if a.answered.Swap(true) {
		return
	}
	a.given = v
	close(a.done)
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
