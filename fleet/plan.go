package fleet

import (
	"errors"
	"fmt"
	"time"
)

// Load is what agents do.
type Load uint8

const (
	// Calls are started and ended.
	Calls Load = iota
	// Refusals: all want the first client, which somebody else is calling.
	Refusals
	// Looks ask whether a client can be called.
	Looks
	// Lists ask who is on a call.
	Lists
)

// Plan is what a fleet does.
type Plan struct {
	Load    Load
	Agents  int // each is a user of its own
	Clients int // whom they call

	// Think, Talk and WrapUp are how long an agent looks at whom to call next, is
	// on a call and writes it down, on average; each time is drawn from an
	// exponential distribution. Where all three are zero agents run flat out.
	Think, Talk, WrapUp time.Duration
	// Zipf prefers some clients: the n-th is chosen in proportion to n^-Zipf. It
	// is above one, or zero: all alike.
	Zipf float64
	// Double is how many of the calls, as a share of one, are followed by a second
	// start of the same user, who is on a call: it must be refused (I2).
	Double float64
	// Lease is that of each call; zero: the server's default. A talk is cut off at
	// two thirds of it.
	Lease time.Duration

	// Ramp is the time over which agents begin, one after the other. WarmUp
	// follows, and then Time, which alone is counted.
	Ramp, WarmUp, Time time.Duration
	Seed               uint64 // of all that is drawn
}

// Flat reports whether agents run flat out.
func (p *Plan) Flat() bool { return p.Think+p.Talk+p.WrapUp == 0 }

// Begin is when counting begins, since the run began.
func (p *Plan) Begin() time.Duration { return p.Ramp + p.WarmUp }

// End is when counting ends, and agents stop.
func (p *Plan) End() time.Duration { return p.Begin() + p.Time }

// Check says what is wrong with a plan, for a person.
func (p *Plan) Check() error {
	switch {
	case p.Agents < 1:
		return errors.New("a fleet has at least one agent")
	case p.Clients < 1:
		return errors.New("there must be at least one client to call")
	case min(p.Think, p.Talk, p.WrapUp, p.Ramp, p.WarmUp) < 0:
		return errors.New("times cannot be negative")
	case p.Time <= 0:
		return errors.New("the time to measure must be above zero")
	case p.Zipf != 0 && !(p.Zipf > 1 && p.Zipf <= 10):
		return fmt.Errorf("a Zipf exponent of %v cannot be: give one above 1, up to 10, or 0 for all clients alike", p.Zipf)
	case !(p.Double >= 0 && p.Double <= 1):
		return fmt.Errorf("%v is not a share: give a number from 0 to 1", p.Double)
	case p.Lease != 0 && (p.Lease < time.Second || p.Lease > 24*time.Hour):
		return errors.New("a lease is a second to a day")
	}
	return nil
}
