package actors

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
