package client

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Step carries the machine one message further. The effects are appended to room, which
// may be nil.
func Step(s State, now time.Time, m Message, room []Effect) (State, []Effect) {
	t := turn{State: s, now: now, effects: room}
	switch s.phase {
	case Free:
		t.free(m)
	case Reserved:
		t.reserved(m)
	case Held:
		t.held(m)
	}
	t.remind()
	return t.State, t.effects
}

// turn is one step under way: the state as it becomes, and the effects so far.
type turn struct {
	State
	now     time.Time
	effects []Effect
}

func (t *turn) emit(e Effect) { t.effects = append(t.effects, e) }

func (t *turn) free(m Message) {
	switch m := m.(type) {
	case messages.Reserve:
		t.becomeReserved(m.User, m.Call)
	case Check:
		t.check(m)
	case LookedUp:
		t.lookedUp(m)
	case LookUpFailed:
		if m.Serial == t.looking {
			t.looking = 0
			t.answerChecks(t.takeAsked(), messages.Availability{Code: messages.CodeUnavailable})
			t.lookAgain()
		}
	case messages.Confirm:
		// A reservation that was given up as overdue, committed after all.
		t.becomeHeld(messages.HeldClaim{Call: m.Call, Name: m.Name})
		t.ask()
	case messages.Released:
		// A call that this actor did not know of. A read that is under way may
		// have seen it; what it says will be checked with the holder.
	case Forget:
		t.verified = false
		if t.looking != 0 {
			t.lookUp()
		}
	default:
		t.always(m)
	}
}

func (t *turn) reserved(m Message) {
	switch m := m.(type) {
	case messages.Reserve:
		if m.Call == t.holder.call {
			t.toUser(messages.Reserved{User: m.User, Call: m.Call, Client: t.Client})
			return
		}
		t.wait(waiter{user: m.User, call: m.Call})
	case Check:
		t.wait(waiter{asker: m.Asker})
	case messages.Confirm:
		if m.Call.ID != t.holder.call {
			// A reservation of an earlier incarnation, committed after all:
			// the one under way will lose to it.
			t.verified = false
			return
		}
		// Who waited is not refused yet: by the time this message is here, the
		// call may have ended, before they came.
		t.becomeHeld(messages.HeldClaim{Call: m.Call, Name: m.Name})
		t.ask()
	case messages.Withdraw:
		if m.Call != t.holder.call {
			t.leave(m.Call)
			return
		}
		t.becomeFree(t.verified && !m.Doubt)
		t.admitNext()
	case messages.Lost:
		if m.Call == t.holder.call {
			t.becomeHeld(m.Holder)
			t.ask()
		}
	case messages.HolderSays:
		t.overdueAnswered(m)
	default:
		t.always(m)
	}
}

func (t *turn) held(m Message) {
	switch m := m.(type) {
	case messages.Reserve:
		t.wait(waiter{user: m.User, call: m.Call})
		t.ask()
	case Check:
		t.wait(waiter{asker: m.Asker})
		t.ask()
	case messages.Confirm:
		if m.Call.ID != t.holder.call {
			// Committed while this actor believed an older call to be on.
			t.becomeHeld(messages.HeldClaim{Call: m.Call, Name: m.Name})
			t.ask()
		}
	case messages.Withdraw:
		t.leave(m.Call)
	case messages.Released:
		if m.Call == t.holder.call {
			t.becomeFree(true)
			t.admitNext()
		}
	case messages.HolderSays:
		t.holderSaid(m)
	default:
		t.always(m)
	}
}

// always handles what any phase handles in the same way.
func (t *turn) always(m Message) {
	switch m := m.(type) {
	case messages.Withdraw:
		t.leave(m.Call)
	case GiveUp:
		t.dropWaiters(func(w waiter) bool { return w.asker == m.Asker })
	case Reminder:
		t.reminded = false
		t.lookAround()
	}
}

// check answers a question about a free client, or reads the store first.
func (t *turn) check(m Check) {
	if t.verified && !t.Distant {
		t.emit(Reply{To: m.Asker})
		return
	}
	t.wait(waiter{asker: m.Asker})
	if t.looking == 0 {
		t.lookUp()
	}
}

// lookUp reads the store, on behalf of all who wait. What an earlier read says
// does not count any more.
func (t *turn) lookUp() {
	t.serial++
	t.looking = t.serial
	t.crowd = &crowd{asked: t.crowd.everybody(), askedAt: t.now, serial: t.serial}
	t.emit(LookUp{Serial: t.serial})
}

// lookAgain serves those who came while the store was being read: what it said
// may be older than their question.
func (t *turn) lookAgain() {
	switch {
	case t.crowd == nil:
	case t.verified && !t.Distant:
		t.answerChecks(t.takeWaiting(), messages.Availability{})
	default:
		t.lookUp()
	}
}

func (t *turn) lookedUp(m LookedUp) {
	if m.Serial != t.looking {
		return
	}
	t.looking = 0
	switch {
	case !m.Exists:
		t.answerChecks(t.takeAsked(), messages.Availability{Code: messages.CodeClientNotFound})
		t.lookAgain()
	case m.Claim == nil:
		t.verified = !t.Shared && !t.Distant
		t.answerChecks(t.takeAsked(), messages.Availability{})
		t.lookAgain()
	default:
		asked := t.takeAsked() // before the read began: to them it is true
		t.becomeHeld(*m.Claim)
		t.refuseAll(asked)
		t.ask()
	}
}

// holderSaid handles the answer to the question of a held client.
func (t *turn) holderSaid(m messages.HolderSays) {
	if m.Call != t.holder.call {
		return
	}
	if m.Is == messages.StandingOn {
		if t.crowd != nil && m.Serial == t.crowd.serial {
			t.refuseAll(t.takeAsked())
			t.ask()
		}
		return
	}
	t.becomeFree(m.Is == messages.StandingOff)
	t.admitNext()
}

// overdueAnswered handles what the user actor says of an overdue reservation.
func (t *turn) overdueAnswered(m messages.HolderSays) {
	if m.Call != t.holder.call {
		return
	}
	if m.Is == messages.StandingOn {
		t.becomeHeld(m.Held)
		t.ask()
		return
	}
	t.becomeFree(false)
	t.admitNext()
}

// ask asks the holder, on behalf of all who wait, unless nobody waits or a
// question is under way.
func (t *turn) ask() {
	if t.crowd == nil || t.crowd.waiting.n == 0 || len(t.crowd.asked) > 0 {
		return
	}
	t.askFor(t.crowd.waiting.all())
}

// askFor asks the holder of a held client on behalf of ws, all who wait.
func (t *turn) askFor(ws []waiter) {
	t.question()
	t.crowd = &crowd{asked: ws, askedAt: t.now, serial: t.serial}
}

func (t *turn) question() {
	t.serial++
	t.toUser(messages.AskHolder{
		User: t.holder.user, Client: t.Client, Call: t.holder.call, Serial: t.serial,
	})
}

// lookAround is what a reminder is for: see that those who wait wait for
// something that is still going to happen.
func (t *turn) lookAround() {
	switch {
	case t.crowd == nil:
	case t.phase == Reserved && t.now.Sub(t.holder.since) >= t.patience():
		t.question()
	case t.phase == Held && len(t.crowd.asked) > 0 && t.now.Sub(t.crowd.askedAt) >= t.patience():
		// The question or its answer was lost with an actor that panicked.
		// Whoever came since may share the new one.
		t.askFor(t.crowd.everybody())
	case t.phase == Held:
		t.ask() // those whom the question served have given up, and its answer may be lost
	}
}

// patience is how long is waited for what should come at once.
func (t *turn) patience() time.Duration {
	if t.Distant {
		return DistantAfter
	}
	return RemindAfter
}

// remind sees to it that a reminder is under way while anybody waits.
func (t *turn) remind() {
	if t.crowd != nil && !t.reminded {
		t.reminded = true
		t.emit(Remind{After: t.patience()})
	}
}

func (t *turn) toUser(m messages.ForUser) { t.emit(m) }
