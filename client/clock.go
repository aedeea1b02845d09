package client

import "time"

// moment is one moment by two clocks: Go's own, which nobody can set but which
// stands still while a Linux machine is suspended, and the one on the wall.
type moment struct{ steady, wall time.Time }

// now reads both clocks.
func (c *Client) now() moment {
	now := time.Now()
	if c.wall != nil {
		return moment{now, c.wall()}
	}
	return moment{now, now.Round(0)}
}

func (m moment) add(d time.Duration) moment { return moment{m.steady.Add(d), m.wall.Add(d)} }

// left is how long it is until m, by the clock that says less.
func (m moment) left(now moment) time.Duration {
	return min(m.steady.Sub(now.steady), m.wall.Sub(now.wall))
}
