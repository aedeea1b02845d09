package user

import "github.com/dibs-calls/dibs/messages"

// claimed handles what became of a claim.
func (t *turn) claimed(o messages.Outcome) {
	w := *t.work.write
	switch o.Kind {
	case messages.OutcomeUnknown:
		t.becomeDoubtful()
		return
	case messages.OutcomeDone:
		t.becomeOnCall(Claiming, &held{HeldClaim: messages.HeldClaim{
			Call: o.Call, Name: o.Holder.Name, Lease: w.Lease,
		}, started: o.Event})
		t.toClient(messages.Confirm{Call: o.Call, Name: o.Holder.Name})
	case messages.OutcomeUserHeld:
		// A call that this actor did not know of: learn all of it.
		t.becomeIdle(Claiming)
		t.toClient(messages.Withdraw{Client: w.Client, Call: w.Call})
		if w.Report != nil { // the call may be over by what the report says
			t.putBack(t.finish())
		} else {
			t.replyStored(t.finish(), messages.AnswerOf(w, o))
		}
		t.becomeLoading()
		return
	case messages.OutcomeClientHeld:
		t.becomeIdle(Claiming)
		t.toClient(messages.Lost{Client: w.Client, Call: w.Call, Holder: messages.HeldClaim{
			Call: o.Call, Name: o.Holder.Name,
		}})
	default:
		t.becomeIdle(Claiming)
		t.toClient(messages.Withdraw{
			Client: w.Client, Call: w.Call, Doubt: o.Kind == messages.OutcomeNoClient,
		})
	}
	t.settle(messages.AnswerOf(w, o))
}

// ended handles what became of a release.
func (t *turn) ended(o messages.Outcome) {
	w := *t.work.write
	byName := w.Token == 0 || w.Adopts // of a call that the report does not know by its id
	switch {
	case o.Kind == messages.OutcomeUnknown:
		t.becomeDoubtful()
		return
	case o.Kind == messages.OutcomeCallGone:
		t.notAdopted(Ending, o)
		return
	case o.Kind == messages.OutcomeCallOver && byName: // of another call
		t.becomeOnCall(Ending, t.held)
	case o.Kind == messages.OutcomeDone && byName:
		t.becomeIdle(Ending)
		t.toClient(messages.Released{Client: o.Call.ClientID, Call: o.Call.ID})
	case o.Kind == messages.OutcomeDone, o.Kind == messages.OutcomeCallOver:
		t.becomeIdle(Ending)
		t.toClient(messages.Released{Client: w.Client, Call: w.Call})
	case o.Kind == messages.OutcomeNotExpired:
		h := *t.held
		h.Call = o.Call
		t.becomeOnCall(Ending, &h)
	default:
		t.becomeOnCall(Ending, t.held)
	}
	if w.Reason == messages.ReasonSuperseded {
		t.superseded(o)
		return
	}
	t.settle(messages.AnswerOf(w, o))
}

// renewed handles what became of a renewal.
func (t *turn) renewed(o messages.Outcome) {
	w := *t.work.write
	if w.Adopts && o.Kind == messages.OutcomeCallOver { // the call that is reported: this one goes on
		t.notAdopted(Renewing, o)
		return
	}
	answer := messages.AnswerOf(w, o)
	switch o.Kind {
	case messages.OutcomeUnknown:
		t.becomeDoubtful()
		return
	case messages.OutcomeCallGone, messages.OutcomeFoundOver, messages.OutcomeNotSuperseded:
		t.notAdopted(Renewing, o)
		return
	case messages.OutcomeDone:
		t.becomeOnCall(Renewing, &held{
			HeldClaim: messages.HeldClaim{Call: *answer.Call, Name: t.held.Name, Lease: w.Lease},
			started:   t.held.started,
			cover:     cover{since: t.work.since, slack: w.Slack, stored: o.Call.LeaseExpiresAt},
		})
	case messages.OutcomeCallOver:
		t.becomeIdle(Renewing)
		t.toClient(messages.Released{Client: w.Client, Call: w.Call})
	default:
		t.becomeOnCall(Renewing, t.held)
	}
	t.settle(answer)
}

// noted handles what became of a write beside the claim.
func (t *turn) noted(o messages.Outcome) {
	if o.Kind == messages.OutcomeUnknown {
		t.becomeDoubtful()
		return
	}
	w := *t.work.write
	switch o.Kind {
	case messages.OutcomeCallGone, messages.OutcomeFoundOver, messages.OutcomeNotSuperseded:
		t.notAdopted(Noting, o)
		return
	}
	if w.Kind == messages.WriteRelease && o.Kind == messages.OutcomeDone {
		t.toClient(messages.Released{Client: o.Call.ClientID, Call: o.Call.ID})
	}
	t.becomeResting(Noting)
	t.settle(messages.AnswerOf(w, o))
}

// loaded handles the truth from the store.
func (t *turn) loaded(claim *messages.HeldClaim) {
	before := t.work
	if claim == nil {
		t.becomeIdle(Loading)
	} else {
		t.becomeOnCall(Loading, &held{HeldClaim: *claim})
	}
	if before != nil {
		t.tellClientAfterDoubt(*before.write)
		t.settle(t.answerAfterDoubt(before))
		return
	}
	t.answerQuestions()
	if !t.Shared {
		t.next()
		return
	}
	if len(t.queue) > 0 { // what was read is good for one command
		c := t.queue[0]
		t.queue = t.queue[1:]
		t.begin(c)
	}
	t.forget()
}

// answerAfterDoubt is the answer to a command whose commit had an unknown
// outcome, now that the truth is known as far as claims can tell it.
func (t *turn) answerAfterDoubt(b *work) messages.Answer {
	w := *b.write
	mine := t.held != nil && t.held.ID == w.Call
	switch {
	case w.Kind == messages.WriteClaim && mine:
		return messages.Answer{Call: t.call()}
	case w.Report != nil:
		// Made again it finds out; and nobody may be told what the store has
		// not recorded with it.
		return messages.Answer{Code: messages.CodeOutcomeUnknown}
	case w.Kind == messages.WriteClaim && (t.Shared || t.Distant):
		// It may have been committed, and ended elsewhere since.
		return messages.Answer{Code: messages.CodeOutcomeUnknown}
	case w.Kind == messages.WriteClaim && t.held != nil:
		return messages.Answer{Code: messages.CodeUserOnCall, Call: t.call()}
	case w.Kind == messages.WriteClaim, w.Kind == messages.WriteRelease && mine:
		return messages.Answer{Code: messages.CodeUnavailable} // it did not happen
	case w.Kind == messages.WriteRelease && w.Log == nil && w.Key == nil:
		ended := b.held.Call // without a report, a release is of the call in progress
		return messages.Answer{Ended: &ended}
	}
	// A renewal, a log, a recorded key: claims do not show whether those were
	// written. Doing them again is safe, saying that they were done is not.
	return messages.Answer{Code: messages.CodeOutcomeUnknown}
}

// tellClientAfterDoubt tells the client actor what it waits for.
func (t *turn) tellClientAfterDoubt(w messages.Write) {
	mine := t.held != nil && t.held.ID == w.Call
	switch {
	case w.Kind == messages.WriteClaim && mine:
		t.toClient(messages.Confirm{Call: t.held.Call, Name: t.held.Name})
	case w.Kind == messages.WriteClaim:
		t.toClient(messages.Withdraw{Client: w.Client, Call: w.Call, Doubt: true})
	case w.Kind != messages.WriteNote && !mine && !w.Client.IsZero():
		t.toClient(messages.Released{Client: w.Client, Call: w.Call})
	}
}

// settle answers the command that was under way and goes on with the next.
// The machine must be resting.
func (t *turn) settle(a messages.Answer) {
	t.replyStored(t.finish(), a)
	if !t.Shared { // else they wait for a read
		t.answerQuestions()
	}
	t.next()
}
