package actors

import "fmt"

// ask is a caller who waits for one answer.
type ask[A any] struct{ ch chan A }

func newAsk[A any]() *ask[A] { return &ask[A]{ch: make(chan A, 1)} }

// answer never blocks. The first answer counts: a second one can only come
// from a shell that gave up after its machine had answered.
func (a *ask[A]) answer(v A) {
	select {
	case a.ch <- v:
	default:
	}
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
