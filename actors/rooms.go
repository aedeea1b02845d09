package actors

import "sync"

// room is where the effects of one step stand until they have been carried out. The steps
// of all actors of a kind take turns: hardly any have more than two.
type room[E any] struct{ effects []E }

// rooms are those that are free.
type rooms[E any] struct{ pool sync.Pool }

func (r *rooms[E]) enter() *room[E] {
	if free, ok := r.pool.Get().(*room[E]); ok {
		return free
	}
	return &room[E]{effects: make([]E, 0, 4)}
}

// leave gives back a room whose effects were carried out. One that was enlarged, for the
// thousand who wanted the same client, is not kept.
func (r *rooms[E]) leave(used *room[E]) {
	const roomy = 64
	if cap(used.effects) > roomy {
		return
	}
	clear(used.effects)
	used.effects = used.effects[:0]
	r.pool.Put(used)
}
