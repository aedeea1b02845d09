package user

import (
	"fmt"
	"slices"

	"github.com/dibs-calls/dibs/messages"
)

// The transitions. Each asserts the phases that it may come from; a panic here
// is a defect of this package, and the shell starts over from the store.

func (t *turn) becomeLoading() {
	t.from(Asleep, Recovering, Idle, OnCall)
	t.phase, t.held = Loading, nil
	t.emit(Load{})
}

// becomeDoubtful reloads because the outcome of the commit under way is
// unknown. The command stays under way until the truth is known.
func (t *turn) becomeDoubtful() {
	t.from(Claiming, Ending, Renewing, Noting)
	t.phase, t.held = Loading, nil
	t.emit(Load{})
}

// becomeAsleep forgets everything because the store cannot be read, and says
// so to everybody who waits.
func (t *turn) becomeAsleep() {
	t.from(Loading)
	t.phase, t.held = Asleep, nil
	if w := t.work; w != nil {
		if w.write.Kind == messages.WriteClaim {
			t.toClient(messages.Withdraw{Client: w.write.Client, Call: w.write.Call, Doubt: true})
		}
		t.replyStored(t.finish(), messages.Answer{Code: messages.CodeOutcomeUnknown})
	}
	for _, c := range t.queue {
		t.reply(c, messages.Answer{Code: messages.CodeUnavailable})
	}
	t.queue = nil
	t.answerQuestions()
}

func (t *turn) becomeReserving(c Command, claim messages.Write) {
	t.from(Idle)
	t.phase, t.work = Reserving, t.workOn(c, claim)
}

// becomeSeeking finds out whether the call of a repeated start has ended.
func (t *turn) becomeSeeking(c Command) {
	t.from(Idle, OnCall)
	do, _ := c.Do.(StartAgain)
	t.phase, t.work = Seeking, &work{command: c}
	t.emit(Seek{Call: do.Call})
}

func (t *turn) becomeClaiming() {
	t.from(Reserving)
	t.phase = Claiming
	t.emit(Commit{Write: t.work.write})
}

func (t *turn) becomeEnding(c Command, w messages.Write) {
	t.from(OnCall)
	t.commit(Ending, c, w)
}

func (t *turn) becomeRenewing(c Command, w messages.Write) {
	t.from(OnCall)
	t.commit(Renewing, c, w)
}

func (t *turn) becomeNoting(c Command, w messages.Write) {
	t.from(Idle, OnCall)
	t.commit(Noting, c, w)
}

func (t *turn) commit(p Phase, c Command, w messages.Write) {
	t.phase, t.work = p, t.workOn(c, w)
	t.emit(Commit{Write: t.work.write})
}

func (t *turn) workOn(c Command, w messages.Write) *work {
	both := &struct { // one allocation for what is needed for as long
		work  work
		write messages.Write
	}{write: w}
	both.work = work{command: c, write: &both.write, since: t.now, held: t.held}
	return &both.work
}

func (t *turn) becomeIdle(from Phase) {
	t.from(from)
	t.phase, t.held = Idle, nil
}

func (t *turn) becomeOnCall(from Phase, h *held) {
	t.from(from)
	t.phase, t.held = OnCall, h
}

// becomeResting goes back to idle or onCall, whichever the claim says.
func (t *turn) becomeResting(from Phase) {
	if t.held == nil {
		t.becomeIdle(from)
	} else {
		t.becomeOnCall(from, t.held)
	}
}

func (t *turn) from(allowed ...Phase) {
	if !slices.Contains(allowed, t.phase) {
		panic(fmt.Sprintf("user: transition from phase %v, want one of %v", t.phase, allowed))
	}
}

// finish takes the command that was under way.
func (t *turn) finish() Command {
	c := t.work.command
	t.work = nil
	return c
}

// next begins the waiting commands, until one has to wait for something. With
// a shared store each begins with a read of its own.
func (t *turn) next() {
	if t.Shared {
		t.forget()
		return
	}
	for len(t.queue) > 0 && (t.phase == Idle || t.phase == OnCall) {
		c := t.queue[0]
		t.queue = t.queue[1:]
		t.begin(c)
	}
	if len(t.queue) == 0 {
		t.queue = nil // let go of the array
	}
}

// forget drops what is known, because others may be changing it, and reads it
// again for those who wait.
func (t *turn) forget() {
	if t.phase != Idle && t.phase != OnCall {
		return
	}
	if len(t.queue) > 0 || len(t.asked) > 0 {
		t.becomeLoading()
		return
	}
	t.phase, t.held = Asleep, nil
}

func (t *turn) enqueue(c Command) {
	if len(t.queue) >= MaxQueue {
		t.reply(c, messages.Answer{Code: messages.CodeOverloaded})
		return
	}
	t.queue = append(slices.Clip(t.queue), c)
}

func (t *turn) dequeue(a Asker) {
	t.queue = slices.DeleteFunc(slices.Clone(t.queue), func(c Command) bool { return c.Asker == a })
}

// ask keeps a question until it can be answered.
func (t *turn) ask(q messages.AskHolder) { t.asked = append(slices.Clip(t.asked), q) }

// answerQuestions answers the questions kept. What is still being committed,
// or loaded, has had its turn: this is called only when that is over.
func (t *turn) answerQuestions() {
	for _, q := range t.asked {
		t.tell(q)
	}
	t.asked = nil
}

// tell answers a question from what is committed.
func (t *turn) tell(q messages.AskHolder) {
	says := messages.HolderSays{Client: q.Client, Call: q.Call, Serial: q.Serial, Is: messages.StandingOff}
	switch {
	case t.phase == Asleep:
		says.Is = messages.StandingUnsure
	case t.held != nil && t.held.ID == q.Call:
		says.Is, says.Held = messages.StandingOn, t.held.HeldClaim
	}
	t.toClient(says)
}
