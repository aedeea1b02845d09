// Package limit finds how many commands may be in flight at a time. It is the pure core
// of package admission: a function of what was seen, without a clock.
package limit

import (
	"math"
	"time"
)

const (
	// Floor is how many commands may be in flight however long they take: a fleet that
	// keeps so many connections busy without a pause is no overload, it is a fleet. Only
	// when more are asked for, and the processors are crowded, is it less (see Least).
	Floor = 256
	// Rest is the bound while there is no sign of an overload: bursts up to it are
	// admitted whole.
	Rest = 1024

	// GoodTime is how long a start or an end may take, on average, however fast it
	// is when few are in flight: nobody notices, and below it what is seen is mostly
	// chance.
	GoodTime = 25 * time.Millisecond
	// stretch is how many times as long as with few in flight they may take on
	// average.
	stretch = 2

	// Enough samples are in a window to decide by it.
	Enough = 8
	// stands is how many windows in a row must be late before the limit is lowered
	// for it: a burst drains in less, and so does what waits for a neighbour on the
	// machine.
	stands = 5
	// doubtful windows in a row take back that the limit was lowered: one alone may be a
	// disk that stood still.
	doubtful = 3
	// alone is how few in flight do not make each other late.
	alone = 16
)

// Window is what was seen since the window before.
type Window struct {
	Finished int           // starts and ends that were carried out
	Mean     time.Duration // how long they took, on average
	Busy     float64       // how many commands were in flight, on average
	Rate     float64       // how many were finished a second
	Refused  int           // starts that found no room
	Waited   time.Duration // for a processor, whatever was to run, on average
}

// Control finds how many commands may be in flight. It is a value: [Control.Step]
// makes the next one. Begin with [New].
type Control struct {
	limit, most float64
	base        time.Duration // how long it takes with few in flight, as far as known
	late        int           // windows in a row that took too long
	mark        mark
	crowd       crowd
}

// mark is what was seen before the limit was lowered, in one step or many.
type mark struct {
	limit, busy, rate float64
	asked             int // commands that finished or were refused
	doubts            int // windows in a row that say it was a mistake
}

// New is a control whose limit never exceeds most.
func New(most int) Control {
	c := Control{most: float64(most)}
	c.set(Rest)
	return c
}

// Limit is how many commands may be in flight.
func (c Control) Limit() int { return int(c.crowd.within(c.limit)) }

// Target is how long starts and ends may take on average.
func (c Control) Target() time.Duration { return max(GoodTime, stretch*c.base) }

// Step is the control after w. It reports whether the limit was lowered: how long
// those take that were admitted before says nothing about the new one.
func (c Control) Step(w Window) (next Control, lowered bool) {
	before := c.Limit()
	c, lowered = c.paced(w)
	c.crowd = c.crowd.step(w, c.limit, c.base)
	return c, lowered || c.Limit() < before
}

// paced is the control after what w says of how long commands take.
func (c Control) paced(w Window) (next Control, lowered bool) {
	if w.Finished < Enough {
		if w.Refused == 0 { // nobody needs it: what was seen before says nothing any more
			c.late, c.mark = 0, mark{}
			c.set(max(c.limit, Rest))
		}
		return c, false
	}
	c = c.learned(w)
	mean, target := float64(w.Mean), float64(c.Target())
	if mean > target {
		return c.tightened(w, target/mean)
	}
	c.late, c.mark = 0, mark{}
	if w.Refused == 0 {
		return c.relaxed(w), false
	}
	// At its limit, and in time: up by a tenth, by less near the target.
	c.set(c.limit * min(1.1, target/max(1, mean)))
	return c, false
}

// learned takes note of how long it takes when few are in flight.
func (c Control) learned(w Window) Control {
	switch more := w.Mean - c.base; {
	case more < 0:
		c.base += more / 4 // so quick in spite of the others
	case w.Busy <= alone:
		c.base += more / 4
	case w.Refused > 0:
		c.base -= c.base / 100 // what people are refused for is looked at again
	case w.Busy <= Floor:
		c.base += more / 16
	}
	if !c.mark.missed(w) || w.Mean <= c.base {
		c.mark.doubts = 0
	} else if c.mark.doubts++; c.mark.doubts == doubtful {
		c.base = w.Mean
		c.set(max(c.limit, c.mark.limit))
		c.mark = mark{}
	}
	return c
}

// missed reports whether it was a mistake to lower the limit: the rate fell with what
// is in flight. Where requests take turns, fewer of them are done as fast as more;
// where each waits for a disk or a network, whatever the others do, they are not.
//
// It can only be told while as much is asked for as before. Refusals take their share of
// the processor: when more callers come, fewer of those who were admitted are served, at
// any limit.
func (m mark) missed(w Window) bool {
	if w.Busy > 0.9*m.busy || float64(w.Finished+w.Refused) > 1.25*float64(m.asked) {
		return false
	}
	return w.Rate/m.rate < math.Sqrt(w.Busy/m.busy)
}

// tightened lowers the limit to a part of what was in flight, a half at least: a
// limit that nobody had come near has no part in it.
func (c Control) tightened(w Window, part float64) (_ Control, lowered bool) {
	if c.late++; c.late < stands && w.Refused == 0 {
		return c, false
	}
	before := c.limit
	c.set(min(c.limit, w.Busy) * max(0.5, part))
	lowered = c.limit < before
	if lowered && c.mark == (mark{}) {
		c.mark = mark{limit: before, busy: w.Busy, rate: w.Rate, asked: w.Finished + w.Refused}
	}
	return c, lowered
}

// relaxed lets the limit go back to where bursts are admitted, while nobody needs it.
func (c Control) relaxed(w Window) Control {
	if w.Refused == 0 && c.late == 0 && c.limit < Rest {
		c.set(c.limit * 1.2)
	}
	return c
}

// set keeps the limit within its bounds.
func (c *Control) set(limit float64) { c.limit = min(max(limit, Floor), max(c.most, 1)) }
