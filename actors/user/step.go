package user

import (
	"fmt"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Step carries the machine one message further. The effects are appended to room, which
// may be nil.
func Step(s State, now time.Time, m Message, room []Effect) (State, []Effect) {
	t := turn{State: s, now: now, effects: room}
	if leave, ok := m.(Leave); ok {
		t.leave(leave.Answer)
		return t.State, t.effects
	}
	switch s.phase {
	case Asleep:
		t.asleep(m)
	case Recovering:
		t.recovering(m)
	case Loading:
		t.loading(m)
	case Idle, OnCall:
		t.resting(m)
	case Reserving:
		t.reserving(m)
	case Claiming:
		t.claiming(m)
	case Ending:
		t.ending(m)
	case Renewing:
		t.renewing(m)
	case Noting:
		t.noting(m)
	case Seeking:
		t.seeking(m)
	}
	return t.State, t.effects
}

// turn is one step under way: the state as it becomes, and the effects so far.
type turn struct {
	State
	now     time.Time
	effects []Effect
}

func (t *turn) emit(e Effect) { t.effects = append(t.effects, e) }

func (t *turn) asleep(m Message) {
	switch m := m.(type) {
	case *Command:
		t.enqueue(*m)
	case messages.AskHolder:
		t.ask(m)
	default:
		return // meant for an earlier life
	}
	t.becomeLoading()
}

func (t *turn) recovering(m Message) {
	switch m := m.(type) {
	case Written:
		t.becomeLoading()
	case messages.AskHolder:
		t.ask(m)
	default:
		t.meanwhile(m)
	}
}

func (t *turn) loading(m Message) {
	switch m := m.(type) {
	case Loaded:
		t.loaded(m.Claim)
	case LoadFailed:
		t.becomeAsleep()
	case messages.AskHolder:
		t.ask(m)
	default:
		t.meanwhile(m)
	}
}

// resting is the step of both phases in which no command is under way: idle
// and onCall.
func (t *turn) resting(m Message) {
	if c, ok := m.(*Command); ok {
		t.begin(*c)
		return
	}
	t.meanwhile(m)
}

func (t *turn) reserving(m Message) {
	claim := t.work.write
	switch m := m.(type) {
	case messages.Reserved:
		if m.Call == claim.Call {
			t.becomeClaiming()
		}
	case messages.Refused:
		if m.Call == claim.Call {
			t.becomeResting(Reserving)
			t.refuse(t.finish(), *claim, messages.Answer{Code: messages.CodeClientBeingCalled, Caller: m.Caller})
			t.next()
		}
	case Again:
		if m.Call == claim.Call {
			t.toClient(messages.Reserve{Client: claim.Client, User: t.User, Call: claim.Call})
		}
	case GiveUp:
		if m.Asker != t.work.command.Asker {
			t.meanwhile(m)
			return
		}
		t.toClient(messages.Withdraw{Client: claim.Client, Call: claim.Call})
		t.becomeResting(Reserving)
		t.finish()
		t.next()
	default:
		t.meanwhile(m)
	}
}

func (t *turn) claiming(m Message) {
	switch m := m.(type) {
	case Written:
		t.claimed(*m.Outcome)
	case messages.AskHolder:
		if m.Call == t.work.write.Call {
			t.ask(m)
			return
		}
		t.meanwhile(m)
	default:
		t.meanwhile(m)
	}
}

func (t *turn) ending(m Message) {
	switch m := m.(type) {
	case Written:
		t.ended(*m.Outcome)
	case messages.AskHolder:
		if m.Call == t.held.ID {
			t.ask(m)
			return
		}
		t.meanwhile(m)
	default:
		t.meanwhile(m)
	}
}

func (t *turn) renewing(m Message) {
	if w, ok := m.(Written); ok {
		t.renewed(*w.Outcome)
		return
	}
	t.meanwhile(m)
}

func (t *turn) noting(m Message) {
	if w, ok := m.(Written); ok {
		t.noted(*w.Outcome)
		return
	}
	t.meanwhile(m)
}

// meanwhile handles what any phase handles in the same way.
func (t *turn) meanwhile(m Message) {
	switch m := m.(type) {
	case *Command:
		t.enqueue(*m)
	case GiveUp:
		t.dequeue(m.Asker)
	case messages.AskHolder:
		if t.Shared && t.held != nil {
			t.ask(m) // somebody else may have ended it
			return
		}
		t.tell(m)
	case messages.Reserved:
		t.unwanted(m)
	case messages.Refused:
		// The answer to a reservation that was withdrawn meanwhile.
	case Written, Loaded, LoadFailed:
		panic(fmt.Sprintf("user: %T in phase %v", m, t.phase))
	}
}
