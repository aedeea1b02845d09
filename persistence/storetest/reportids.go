package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// reportOldNews: a telephony server that tells all its calls again, with new ids
// and times, ends nothing that goes on.
func reportOldNews(t *testing.T, s persistence.Store) {
	for _, began := range []bool{true, false} { // else its end came first
		u, clients := addUser(t, s), addClients(t, s, 2)
		first := newReport("pbx")
		old := reported(claimOf(u, clients[0]), first)
		if began {
			wantKind(t, commitOne(t, s, old), messages.OutcomeDone)
			wantKind(t, commitOne(t, s, reportedEnd(old, later(first))), messages.OutcomeDone)
		} else {
			wantKind(t, commitOne(t, s, reportedEnd(old, later(first))), messages.OutcomeCallOver)
		}
		second := later(newReport("pbx"))
		call := commitOne(t, s, reported(claimOf(u, clients[1]), second)).Call

		again := later(first)
		again.OccurredAt = second.OccurredAt.Add(time.Hour)
		o := commitOne(t, s, superseding(call, again))
		wantNoEvent(t, o, messages.OutcomeNotSuperseded)
		wantEqual(t, "the call in the way", o.Call, call)
		refusal := messages.Write{
			Kind: messages.WriteNote, User: u.ID, Client: clients[0].ID, Call: again.Call(), Report: again,
			Refusal: &messages.Answer{Code: messages.CodeUserOnCall},
		}
		wantNoEvent(t, commitOne(t, s, refusal), messages.OutcomeCallOver)
		wantHeld(t, s, call)
	}

	// Nor does a call that was claimed by a request, and has ended.
	u, clients := addUser(t, s), addClients(t, s, 2)
	claimed := start(t, s, u, clients[0])
	end(t, s, claimed)
	call := commitOne(t, s, reported(claimOf(u, clients[1]), newReport("pbx"))).Call
	again := later(newReport("pbx"))
	again.CallRef = claimed.ID.String()
	wantNoEvent(t, commitOne(t, s, superseding(call, again)), messages.OutcomeNotSuperseded)
	wantHeld(t, s, call)
}

// reportForeign: who reports a call under the id of another one that is in
// progress gets neither that call nor its id, whichever of start and end comes
// first.
func reportForeign(t *testing.T, s persistence.Store) {
	for _, endFirst := range []bool{false, true} {
		holder, u, clients := addUser(t, s), addUser(t, s), addClients(t, s, 2)
		theirs := start(t, s, holder, clients[0])
		r := newReport("pbx")
		r.CallRef = theirs.ID.String()
		claim := reported(claimOf(u, clients[1]), r)
		over := reportedEnd(claim, later(r))
		if endFirst {
			wantNoEvent(t, commitOne(t, s, over), messages.OutcomeCallOver)
			wantNoEvent(t, commitOne(t, s, claim), messages.OutcomeCallOver)
		} else {
			o := commitOne(t, s, claim)
			wantKind(t, o, messages.OutcomeDone)
			if o.Call.ID == theirs.ID {
				t.Fatal("I6: two calls have one id")
			}
			o = commitOne(t, s, over)
			wantKind(t, o, messages.OutcomeDone)
			wantEqual(t, "the call that ended", o.Call.UserID, u.ID)
		}
		wantHeld(t, s, theirs)
		wantFree(t, s, u.ID, clients[1].ID)
		end(t, s, theirs)
		wantNoEvent(t, commitOne(t, s, reported(claimOf(u, clients[1]), later(r))), messages.OutcomeCallOver)
	}
}

// reportClaimed: a service claims by a request and reports that call by its id,
// in any spelling. It does not begin a second time.
func reportClaimed(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	r := newReport("pbx")
	r.CallRef = call.ID.String()
	// As by a user actor that did not know of the call.
	wantKind(t, commitOne(t, s, reported(claimOf(u, c), r)), messages.OutcomeUserHeld)
	renewal := renewalOf(call, time.Hour, 0)
	renewal.Report = r
	wantKind(t, commitOne(t, s, renewal), messages.OutcomeDone)
	o := commitOne(t, s, reportedEnd(claimOf(u, c), later(r)))
	wantKind(t, o, messages.OutcomeDone)
	wantEqual(t, "the call that ended", o.Call.ID, call.ID)
	wantFree(t, s, u.ID, c.ID)
	for range 2 {
		wantNoEvent(t, commitOne(t, s, reported(claimOf(u, c), later(r))), messages.OutcomeCallOver)
		wantNoEvent(t, commitOne(t, s, reportedEnd(claimOf(u, c), later(r))), messages.OutcomeCallOver)
	}
	wantFree(t, s, u.ID, c.ID)
}
