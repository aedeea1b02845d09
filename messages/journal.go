package messages

import "time"

// WriteKind is what a [Write] does.
type WriteKind uint8

const (
	// WriteClaim inserts the claim of Client by User.
	WriteClaim WriteKind = iota + 1
	// WriteRelease deletes the claim (User, Call, Token) and inserts the
	// finished call. With ReasonExpired it does so only if the lease has run
	// out by the store's clock.
	WriteRelease
	// WriteRenew moves the lease of the claim (User, Call, Token) to Lease
	// from now by the store's clock.
	WriteRenew
	// WriteNote touches no claim: it saves Log, Audit and Key alone.
	WriteNote
)

// Write is what one command asks of the store. A batch of them is one
// transaction; each has an [Outcome] of its own, and one that is refused
// leaves nothing behind except the record of its Key.
type Write struct {
	Kind WriteKind
	// Adopts says that Report, of a start, is to be about Call, which somebody
	// claimed and which the report does not mean by its id.
	Adopts bool
	User   UserID
	// Client is of the call: the journal keeps a client's writes in order. A release
	// may leave it zero; it is then written with more care, and alone.
	Client ClientID
	Call   CallID
	Token  int64         // release, renew: the fence, exact
	Lease  time.Duration // claim, renew: as asked for
	// Slack is added to Lease in the store by a renewal and kept from the
	// caller, so that renewals which follow soon need not be written: what
	// they are answered is covered by what is on stable storage already.
	Slack  time.Duration
	Reason EndReason // release
	// Started is the event of the start of the call that a release is to end, where it
	// is known: the event of the end then says of user and client what that one said,
	// and the store need not look them up. Nil, or the event of another call: it looks.
	Started *Event

	Disposition string   // release
	Notes       string   // release
	Log         *CallLog // release, note: saved in the same transaction
	Audit       *Audit   // release, note: written in the same transaction

	// Key, when set, is recorded together with the answer to the command, in
	// the same transaction (I8). If Key was recorded before, nothing else of
	// this write happens, and the outcome is OutcomeReplayed or
	// OutcomeKeyReused.
	Key *Key
	// Refusal is the answer to record with Key for a WriteNote that stands for
	// a command refused from memory. Nil: the answer follows from the outcome
	// by [AnswerOf].
	Refusal *Answer

	// Report, when set, is the event of a telephony service that asks for this
	// write, and is recorded with it (I8). If it was recorded before, nothing
	// of this write happens, and the outcome is OutcomeReplayed. A write has no
	// Key beside it.
	//
	//   - A claim is not made for a call that was reported before, as begun or
	//     as over, or that has ended (OutcomeCallOver). If it is refused, the
	//     refusal is in its outcome as an event.
	//   - A release may leave its Token zero: then the call is whichever the report
	//     means ([Report.Means]), or has named before (see below). If there is no such
	//     claim, no report will ever begin that call.
	//   - A release with ReasonSuperseded happens only if the call was reported
	//     by the same source to have begun earlier, and the one that Report is
	//     about was neither reported nor has ended (else OutcomeNotSuperseded); it
	//     records nothing: a claim or a note with the same Report follows.
	//   - A note with a Refusal publishes it, unless that call has been reported
	//     or has ended (OutcomeCallOver).
	//   - A note or a renewal may adopt a call, see Adopts. Then the reference is a
	//     name of that call from now on, unless it is known for something else
	//     (OutcomeCallOver), or the call began by a report itself
	//     (OutcomeNotSuperseded), or is not in progress (OutcomeCallGone). If the
	//     source has reported before that the call by this name is over, and can have
	//     meant this one, the outcome is OutcomeFoundOver: a release that adopts the
	//     call, with the same Report, ends it.
	//
	// OutcomeNoUser, OutcomeNoClient, OutcomeUserHeld, OutcomeNotSuperseded,
	// OutcomeCallGone and OutcomeFoundOver record nothing.
	Report *Report
}

// OutcomeKind is what became of a [Write].
type OutcomeKind uint8

const (
	// OutcomeDone: it was applied. Call is the claim as the store has it now,
	// or as it was before its release.
	OutcomeDone OutcomeKind = iota + 1
	// OutcomeClientHeld: a claim lost to the unique index on the client. Call
	// is the holder's claim, Holder the holder.
	OutcomeClientHeld
	// OutcomeUserHeld: a claim lost to the primary key: the user is on a call
	// already. Call is that claim.
	OutcomeUserHeld
	// OutcomeNoUser: a claim by an unknown or disabled user, or a log of one.
	OutcomeNoUser
	// OutcomeNoClient: a claim of, or a log about, an unknown client.
	OutcomeNoClient
	// OutcomeCallOver: a release or renewal of a claim that is not there. The
	// Log of such a release is saved all the same, alone: notes that somebody
	// typed are not thrown away because a lease ran out first.
	OutcomeCallOver
	// OutcomeNotExpired: a release with ReasonExpired of a lease that still
	// runs. Call is the claim as the store has it.
	OutcomeNotExpired
	// OutcomeReplayed: the Key was recorded before with the same digest, or the
	// Report was. Replay is the answer recorded.
	OutcomeReplayed
	// OutcomeKeyReused: the Key was recorded before with another digest.
	OutcomeKeyReused
	// OutcomeNotSuperseded: a release with ReasonSuperseded of a call that is
	// not known to be over; or a write that adopts a call which began by a
	// report. Call is the one in the way.
	OutcomeNotSuperseded
	// OutcomeCallGone: a write that adopts a call which its user is not on.
	OutcomeCallGone
	// OutcomeFoundOver: a note or renewal that adopts a call which is over,
	// by what the source reported before.
	OutcomeFoundOver
	// OutcomeNotApplied: the transaction did not happen, and it is certain
	// that it did not. The journal says so to each write of a batch that failed. A
	// store returns it only for a report, when another write of the batch is
	// about the same event or the same call: made again, it finds out.
	OutcomeNotApplied
	// OutcomeRefused: the store cannot hold what the write says (a NUL byte in
	// a text, for one). Never returned by a store, like OutcomeNotApplied.
	OutcomeRefused
	// OutcomeUnknown: the connection broke while the transaction was being
	// committed. Never returned by a store, like OutcomeNotApplied.
	OutcomeUnknown
)

// Outcome is what became of one write of a batch.
type Outcome struct {
	Kind   OutcomeKind
	Call   Call
	Holder Caller   // OutcomeClientHeld: the other user; OutcomeDone of a claim: the user's own name
	Log    *CallLog // the log as saved, if the write carried one and it was saved
	Replay *Answer  // OutcomeReplayed
	// Event is what everybody may know of it: set when this write started or
	// ended a call or refused a report, and then it stands in the outbox too.
	Event *Event
}

// call is a copy: a pointer into an outcome would keep all of it.
func (o *Outcome) call() *Call {
	call := o.Call
	return &call
}

// AnswerOf is the answer to the command behind a write, as its outcome says.
// Stores record it with the write's key, and the user actor gives it to the
// caller: one rule, so that a replay equals the first answer.
func AnswerOf(w Write, o Outcome) Answer {
	switch o.Kind {
	case OutcomeDone:
		return answerOfDone(w, o)
	case OutcomeClientHeld:
		holder := o.Holder
		return Answer{Code: CodeClientBeingCalled, Caller: &holder}
	case OutcomeUserHeld, OutcomeNotSuperseded:
		return Answer{Code: CodeUserOnCall, Call: o.call()}
	case OutcomeNoUser:
		return Answer{Code: CodeUserNotFound}
	case OutcomeNoClient:
		return Answer{Code: CodeClientNotFound}
	case OutcomeCallOver:
		if w.Kind == WriteRenew {
			return Answer{Code: CodeCallOver}
		}
		return Answer{Log: o.Log} // ending what is over is harmless
	case OutcomeNotExpired:
		return Answer{Call: o.call()}
	case OutcomeReplayed:
		return *o.Replay
	case OutcomeKeyReused:
		return Answer{Code: CodeKeyReused}
	case OutcomeNotApplied, OutcomeCallGone, OutcomeFoundOver: // of the last two the user actor makes more
		return Answer{Code: CodeUnavailable}
	case OutcomeRefused:
		return Answer{Code: CodeBadRequest}
	case OutcomeUnknown:
		return Answer{Code: CodeOutcomeUnknown}
	}
	return Answer{Code: CodeInternal}
}

func answerOfDone(w Write, o Outcome) Answer {
	switch w.Kind {
	case WriteClaim:
		return Answer{Call: o.call()}
	case WriteRenew:
		call := o.Call
		call.LeaseExpiresAt = call.LeaseExpiresAt.Add(-w.Slack)
		return Answer{Call: &call}
	case WriteRelease:
		return Answer{Ended: o.call(), Log: o.Log}
	}
	if w.Refusal != nil {
		return *w.Refusal
	}
	if w.Adopts {
		return Answer{Call: o.call()}
	}
	return Answer{Log: o.Log}
}

// HeldClaim is a call in progress with the name of its user, as the store has
// it: what an actor needs to know when it wakes.
type HeldClaim struct {
	Call
	Name string
	// Lease is how long the call's lease was asked for.
	Lease time.Duration
}

// RecordedKey is what the store remembers of an idempotency key.
type RecordedKey struct {
	Digest [32]byte
	Answer Answer
}
