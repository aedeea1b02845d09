package limit

import "time"

const (
	// Crowded is how long what is to run may wait for a processor, on average, while
	// starts are refused; more where starts take long anyway (see patience).
	Crowded = 500 * time.Microsecond
	// Least is how many commands may be in flight however crowded it is: enough for a
	// store to have a batch while another one is collected.
	Least = 64
	// waits is how often a start waits for a processor, about. All of them together may
	// be a third of what it takes by itself.
	waits = 6
)

// patience is how long what is to run may wait where a command takes so long by itself.
func patience(base time.Duration) time.Duration { return max(Crowded, base/3/waits) }

// crowd is a second bound, below the one that follows how long commands take, for when
// the processors are taken whole. Then requests wait before anybody looks at them, and no
// bound of those in flight makes that shorter: only time that nobody uses does. A refusal
// takes its share as well, so the more are refused, the fewer can be admitted.
//
// Nobody but who is refused already has less room by it: a fleet that never has [Floor]
// requests in flight may crowd the processors as it likes.
type crowd struct {
	room float64 // zero: no bound
}

// step is the bound after w, where the other one is limit, and a command takes base by itself.
func (c crowd) step(w Window, limit float64, base time.Duration) crowd {
	room, crowded := c.room, patience(base)
	switch {
	case w.Refused > 0 && w.Waited > crowded:
		if room == 0 {
			room = min(limit, max(w.Busy, Floor))
		}
		room = max(Least, room*max(0.7, float64(crowded)/float64(w.Waited)))
	case w.Refused == 0 && w.Finished < Enough:
		room = limit // nobody comes: what was before is long past
	case w.Refused == 0:
		room *= 1.2
	case w.Waited < crowded/2:
		room *= 1.2
	}
	if room >= limit {
		room = 0
	}
	return crowd{room}
}

// within is the lower of both bounds.
func (c crowd) within(limit float64) float64 {
	if c.room == 0 {
		return limit
	}
	return min(limit, c.room)
}
