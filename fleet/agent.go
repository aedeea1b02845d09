package fleet

import (
	"math/rand/v2"
	"time"
)

// Verb is a kind of request.
type Verb uint8

// The verbs.
const (
	Start  Verb = iota
	Double      // a start of somebody who is on a call
	End
	Look
	List
	Verbs // how many there are
)

// String names the verb, as reports have it.
func (v Verb) String() string {
	return [Verbs]string{"start", "second start", "end", "availability", "list"}[v]
}

// Step is the next request of an agent.
type Step struct {
	Verb   Verb
	Client int // of all but End and List
	// At is when it is meant to be sent, since the run began. An agent that runs
	// flat out means now, whenever that is.
	At time.Duration
}

// Agent is one user of a fleet. It is a pure state machine: [Agent.Next] says
// what it does, [Agent.Saw] tells it what came of that.
type Agent struct {
	plan   *Plan
	rng    *rand.Rand
	zipf   *rand.Zipf // nil: all clients alike
	next   Step
	client int // of the call that it is on
}

// NewAgent makes the n-th agent of a plan, from zero. Its first appointment is
// within the ramp.
func NewAgent(p *Plan, n int) *Agent {
	a := &Agent{plan: p, rng: rand.New(rand.NewPCG(p.Seed, uint64(n)))}
	if p.Zipf > 1 {
		a.zipf = rand.NewZipf(a.rng, p.Zipf, 1, uint64(p.Clients-1))
	}
	begin := p.Ramp * time.Duration(n) / time.Duration(p.Agents)
	a.begin(begin + a.draw(p.Think))
	return a
}

// Next is what the agent does next. It does not change the agent.
func (a *Agent) Next() Step { return a.next }

// Saw tells the agent what came of the step that Next returned.
func (a *Agent) Saw(o Outcome) {
	at := a.next.At
	switch a.next.Verb {
	case Start:
		a.started(at, o)
	case Double:
		a.next = Step{Verb: End, Client: a.client, At: at + a.talk()}
	case End:
		if o == Unknown || o == NotNow { // it may be on a call still: again
			a.next.At = at + a.draw(a.plan.Talk/10)
			return
		}
		a.begin(at + a.draw(a.plan.WrapUp) + a.draw(a.plan.Think))
	default:
		a.begin(at + a.draw(a.plan.Think))
	}
}

func (a *Agent) started(at time.Duration, o Outcome) {
	switch {
	case a.plan.Load == Refusals: // whatever it was, it is asked for again
		a.begin(at + a.draw(a.plan.Think))
	case o == Unknown || o == UserBusy: // perhaps on a call, which nobody wants
		a.next = Step{Verb: End, Client: a.next.Client, At: at}
	case o != Done:
		a.begin(at + a.draw(a.plan.Think))
	default:
		a.client = a.next.Client
		a.next = Step{Verb: End, Client: a.client, At: at + a.talk()}
		if a.plan.Double > 0 && a.rng.Float64() < a.plan.Double {
			a.next = Step{Verb: Double, Client: a.choose(), At: at}
		}
	}
}

// begin plans the next request of somebody who is not on a call.
func (a *Agent) begin(at time.Duration) {
	a.next = Step{At: at}
	switch a.plan.Load {
	case Calls:
		a.next.Verb, a.next.Client = Start, a.choose()
	case Refusals:
		a.next.Verb = Start
	case Looks:
		a.next.Verb, a.next.Client = Look, a.choose()
	case Lists:
		a.next.Verb = List
	}
}

func (a *Agent) choose() int {
	if a.zipf != nil {
		return int(a.zipf.Uint64())
	}
	return a.rng.IntN(a.plan.Clients)
}

// talk draws the length of a call, which must end before its lease does.
func (a *Agent) talk() time.Duration {
	d := a.draw(a.plan.Talk)
	if a.plan.Lease > 0 {
		d = min(d, a.plan.Lease*2/3)
	}
	return d
}

// draw draws from an exponential distribution.
func (a *Agent) draw(mean time.Duration) time.Duration {
	if mean <= 0 {
		return 0
	}
	return time.Duration(a.rng.ExpFloat64() * float64(mean))
}
