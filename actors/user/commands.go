package user

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// begin starts a command. The machine must be resting; it may be resting
// afterwards, when the command was answered from memory.
func (t *turn) begin(c Command) {
	if d := c.deadline(); !d.IsZero() && t.now.After(d) {
		t.reply(c, messages.Answer{Code: messages.CodeUnavailable})
		return
	}
	switch do := c.Do.(type) {
	case messages.StartCall:
		t.start(c, do)
	case StartAgain:
		t.startAgain(c, do)
	case messages.EndCall:
		t.end(c, do)
	case messages.SaveLog:
		t.saveLog(c, do)
	case messages.RenewCall:
		t.renew(c, do)
	case messages.ExpireCall:
		t.expire(c, do)
	case messages.ReportStarted:
		t.reportStarted(c, do)
	case messages.ReportEnded:
		t.reportEnded(c, do)
	}
}

func (t *turn) start(c Command, do messages.StartCall) {
	if t.held != nil {
		a := messages.Answer{Code: messages.CodeUserOnCall, Call: t.call()}
		if t.held.ID == do.Call { // sent again by somebody who did not hear the answer
			a.Code = messages.OK
		}
		t.answerFromMemory(c, do.Key, a)
		return
	}
	t.reserve(c)
}

// reserve asks the client actor for the client of a command that is to begin a
// call.
func (t *turn) reserve(c Command) {
	claim := t.claim(c)
	t.becomeReserving(c, claim)
	t.toClient(messages.Reserve{Client: claim.Client, User: t.User, Call: claim.Call})
}

func (t *turn) end(c Command, do messages.EndCall) {
	switch {
	case t.held == nil, !do.Call.IsZero() && do.Call != t.held.ID:
		t.answerFromMemory(c, do.Key, messages.Answer{Call: t.call()})
	case do.Token != 0 && do.Token != t.held.Token:
		t.answerFromMemory(c, do.Key, messages.Answer{Code: messages.CodeCallOver})
	default:
		w := t.releaseOf(do.Reason)
		w.Disposition, w.Notes, w.Audit, w.Key = do.Disposition, do.Notes, do.Audit, do.Key
		t.becomeEnding(c, w)
	}
}

func (t *turn) saveLog(c Command, do messages.SaveLog) {
	log := do.Log
	if t.held != nil && t.held.ClientID == log.ClientID {
		w := t.releaseOf(messages.ReasonLogSaved)
		w.Disposition, w.Notes, w.Log, w.Key = log.CallStatus, log.Notes, &log, do.Key
		t.becomeEnding(c, w)
		return
	}
	t.becomeNoting(c, messages.Write{
		Kind: messages.WriteNote, User: t.User, Client: log.ClientID, Log: &log, Key: do.Key,
	})
}

func (t *turn) renew(c Command, do messages.RenewCall) {
	if t.held == nil || do.Call != t.held.ID || do.Token != 0 && do.Token != t.held.Token {
		t.answerFromMemory(c, do.Key, messages.Answer{Code: messages.CodeCallOver})
		return
	}
	lease := do.Lease
	if lease == 0 {
		lease = t.held.Lease
	}
	if do.Key == nil && t.covers(lease) {
		call := t.held.Call
		call.LeaseExpiresAt = t.held.cover.stored.Add(-t.held.cover.slack).Add(t.now.Sub(t.held.cover.since))
		t.reply(c, messages.Answer{Call: &call})
		return
	}
	t.becomeRenewing(c, messages.Write{
		Kind: messages.WriteRenew, User: t.User, Client: t.held.ClientID, Call: t.held.ID, Token: t.held.Token,
		Lease: lease, Slack: lease / 4, Key: do.Key,
	})
}

// covers reports whether a renewal for lease can be told without a write: what
// would be told is no later than what is stored. The store's clock was at
// least where it stood when the last renewal was handed over, so adding what
// has passed here since then never tells too little, and slack bounds it.
func (t *turn) covers(lease time.Duration) bool {
	passed := t.now.Sub(t.held.cover.since)
	return lease == t.held.Lease && passed >= 0 && passed < t.held.cover.slack
}

func (t *turn) expire(c Command, do messages.ExpireCall) {
	if t.held == nil || do.Call != t.held.ID || do.Token != t.held.Token {
		// The store has a claim that is not known here: learn the truth. The
		// sweeper comes again.
		t.becomeLoading()
		return
	}
	t.becomeEnding(c, t.releaseOf(messages.ReasonExpired))
}

// releaseOf is the release of the call in progress, fenced by its token (I6).
func (t *turn) releaseOf(reason messages.EndReason) messages.Write {
	return messages.Write{
		Kind: messages.WriteRelease, User: t.User, Client: t.held.ClientID, Call: t.held.ID,
		Token: t.held.Token, Reason: reason, Started: t.held.started,
	}
}

// answerFromMemory answers a command that changes nothing: at once, or, when
// it carries a key, after the answer was recorded with it.
func (t *turn) answerFromMemory(c Command, key *messages.Key, a messages.Answer) {
	if key == nil {
		t.reply(c, a)
		return
	}
	t.becomeNoting(c, messages.Write{Kind: messages.WriteNote, User: t.User, Key: key, Refusal: &a})
}

// refuse answers a command that was to begin a call: the source of a report by
// an event, everybody else at once.
func (t *turn) refuse(c Command, claim messages.Write, a messages.Answer) {
	if claim.Report != nil {
		t.refuseReport(c, a)
		return
	}
	t.answerFromMemory(c, claim.Key, a)
}

// call returns the committed call for an answer, nil if there is none.
func (t *turn) call() *messages.Call {
	if t.held == nil {
		return nil
	}
	call := t.held.Call
	return &call
}

func (t *turn) reply(c Command, a messages.Answer) {
	if c.Asker != nil {
		t.emit(Reply{To: c.Asker, Answer: a})
	}
}

// replyStored answers a command that went to the store, by what became of that.
func (t *turn) replyStored(c Command, a messages.Answer) {
	if c.Asker != nil {
		t.emit(Reply{To: c.Asker, Answer: a, Stored: true})
	}
}

func (t *turn) toClient(m messages.ForClient) { t.emit(m) }
