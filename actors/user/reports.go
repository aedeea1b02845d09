package user

import (
	"slices"

	"github.com/dibs-calls/dibs/messages"
)

// Reports of telephony services. Each ends in writes that carry the report, a
// repeated one too: the store alone knows whether it took effect before (I8).

func (t *turn) reportStarted(c Command, do messages.ReportStarted) {
	switch {
	case t.held == nil:
		t.reserve(c)
	case t.isOn(do.Call, do.Report) && do.Lease == 0:
		t.becomeNoting(c, t.noteOf(do))
	case t.isOn(do.Call, do.Report):
		t.becomeRenewing(c, messages.Write{
			Kind: messages.WriteRenew, User: t.User, Client: t.held.ClientID, Call: t.held.ID, Token: t.held.Token,
			Lease: do.Lease, Slack: do.Lease / 4, Report: &do.Report,
		})
	case t.held.ClientID == do.Client:
		t.adopt(c, do)
	default:
		t.supersede(c, do)
	}
}

// adopt has the call that the user is on taken for the one that is reported. Whether it
// is, the store knows: it may have begun by a report of its own.
func (t *turn) adopt(c Command, do messages.ReportStarted) {
	w := messages.Write{
		Kind: messages.WriteNote, User: t.User, Client: t.held.ClientID, Call: t.held.ID, Token: t.held.Token, Report: &do.Report, Adopts: true,
	}
	// The lease is not shortened by what may have been reported of an earlier call.
	if do.Lease == 0 || !do.Report.Since(t.held.Call) {
		t.becomeNoting(c, w)
		return
	}
	w.Kind, w.Lease, w.Slack = messages.WriteRenew, do.Lease, do.Lease/4
	t.becomeRenewing(c, w)
}

// notAdopted goes on with the report of a start whose call is not the one in progress,
// or none that goes on.
func (t *turn) notAdopted(from Phase, o messages.Outcome) {
	w := *t.work.write
	do, _ := t.work.command.Do.(messages.ReportStarted)
	switch o.Kind {
	case messages.OutcomeCallGone:
		t.becomeIdle(from)
		t.toClient(messages.Released{Client: w.Client, Call: w.Call})
		t.again()
	case messages.OutcomeFoundOver: // by an end that came before the start
		t.becomeOnCall(from, t.held)
		w := t.releaseOf(messages.ReasonCompleted)
		w.Report, w.Adopts = &do.Report, true
		t.becomeEnding(t.finish(), w)
	case messages.OutcomeNotSuperseded:
		t.becomeOnCall(from, t.held)
		t.supersede(t.finish(), do)
	default:
		t.becomeOnCall(from, t.held)
		t.settle(messages.AnswerOf(w, o))
	}
}

// supersede asks the store whether the call in the way is over by the report of another
// one: it knows who reported it, and whether earlier; and whether the one reported now
// is old news.
func (t *turn) supersede(c Command, do messages.ReportStarted) {
	w := t.releaseOf(messages.ReasonSuperseded)
	w.Report = &do.Report
	t.becomeEnding(c, w)
}

// isOn reports whether the user is on the call that is reported: under the id that
// reports give it, or one that was claimed before.
func (t *turn) isOn(call messages.CallID, r messages.Report) bool {
	if t.held == nil {
		return false
	}
	claimed, ok := r.Claimed()
	return t.held.ID == call || ok && t.held.ID == claimed
}

// superseded goes on with a report when it is known what became of the call
// that stood in its way.
func (t *turn) superseded(o messages.Outcome) {
	w := *t.work.write
	switch o.Kind {
	case messages.OutcomeDone, messages.OutcomeCallOver:
		t.again()
	case messages.OutcomeNotSuperseded:
		t.refuseReport(t.finish(), messages.AnswerOf(w, o))
	default:
		t.settle(messages.AnswerOf(w, o))
	}
}

// again begins the command under way anew. The machine must be resting.
func (t *turn) again() {
	t.putBack(t.finish())
	if !t.Shared {
		t.answerQuestions()
	}
	t.next()
}

// refuseReport has the refusal of a reported start published.
func (t *turn) refuseReport(c Command, a messages.Answer) {
	w := t.noteOf(c.Do.(messages.ReportStarted))
	w.Refusal = &a
	t.becomeNoting(c, w)
}

func (t *turn) noteOf(do messages.ReportStarted) messages.Write {
	return messages.Write{Kind: messages.WriteNote, User: t.User, Client: do.Client, Call: do.Call, Report: &do.Report}
}

// reportEnded ends the call. One that is not known here is ended as well: it may
// be one that has not begun yet, or that another process has begun since; or the one
// in progress, by another name.
func (t *turn) reportEnded(c Command, do messages.ReportEnded) {
	if t.isOn(do.Call, do.Report) {
		w := t.releaseOf(messages.ReasonCompleted)
		w.Disposition, w.Report = do.Disposition, &do.Report
		t.becomeEnding(c, w)
		return
	}
	w := messages.Write{
		Kind: messages.WriteRelease, User: t.User, Client: do.Client, Call: do.Call,
		Reason: messages.ReasonCompleted, Disposition: do.Disposition, Report: &do.Report,
	}
	if t.held == nil || !do.Client.IsZero() && do.Client != t.held.ClientID {
		t.becomeNoting(c, w)
		return
	}
	w.Client = t.held.ClientID
	t.becomeEnding(c, w)
}

// putBack makes a command the first of those that wait.
func (t *turn) putBack(c Command) { t.queue = slices.Insert(slices.Clone(t.queue), 0, c) }

// claim is what a command that is to begin a call asks of the store: a start, or
// the report of one.
func (t *turn) claim(c Command) messages.Write {
	w := messages.Write{Kind: messages.WriteClaim, User: t.User}
	switch do := c.Do.(type) {
	case messages.StartCall:
		w.Client, w.Call, w.Lease, w.Key = do.Client, do.Call, do.Lease, do.Key
	case messages.ReportStarted:
		w.Client, w.Call, w.Lease, w.Report = do.Client, do.Call, do.Lease, &do.Report
	}
	if w.Lease == 0 {
		w.Lease = messages.DefaultLease
	}
	return w
}
