package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
)

// Reports of calls that somebody claimed, under references that are no ids of dibs.

func reportNamePromises() []promise {
	return []promise{
		{"A report of a call that its user claimed is about that call, and ends it", nameAdopts},
		{"A call has a name once, whatever it is told", nameOnce},
		{"What is not carried out names nothing", nameOfRefused},
		{"A name is of one call, and only its user ends it", nameOfOne},
		{"A call that began by a report takes no other name", nameOfBegun},
		{"What is not in progress takes no name", nameOfGone},
		{"An end that came before its start ends the call that was claimed", nameEndFirst},
		{"What happened before a call ends nothing of it", nameOfEarlier},
		{"Two sources may name a call, and either ends it", nameOfTwoSources},
		{"Of several names that a source gave, the last one ends the call", nameLast},
		{"A claimed call is superseded by a later one of a source that has named it", nameSuperseded},
		{"A call that is over has no name any more, however it ended", nameOfOver},
		{"Names beside other writes, in one batch", nameInBatch},
		{"Start and end by name at the same time leave no call behind", nameRace},
		{"A second leg and the end of the first at the same time", nameSecondLegRace},
	}
}

// nameFor is a report of a telephone call that began so long after a call of dibs.
func nameFor(source string, call messages.Call, after time.Duration) *messages.Report {
	r := newReport(source)
	r.CallRef = "trunk/" + uuid.NewString()
	r.OccurredAt = call.StartedAt.Add(after)
	return r
}

// told is another event of the same telephone call.
func told(r *messages.Report, after time.Duration) *messages.Report {
	next := *r
	next.ID, next.OccurredAt = uuid.NewString(), r.OccurredAt.Add(after)
	return &next
}

func adopting(call messages.Call, r *messages.Report) messages.Write {
	return messages.Write{
		Kind: messages.WriteNote, User: call.UserID, Client: call.ClientID, Call: call.ID, Token: call.Token, Report: r, Adopts: true,
	}
}

// adoptingEnd is what follows when a call was found to be over.
func adoptingEnd(call messages.Call, r *messages.Report) messages.Write {
	w := adopting(call, r)
	w.Kind, w.Reason = messages.WriteRelease, messages.ReasonCompleted
	return w
}

// namedEnd is the end of a telephone call, as one says it who knows no more than that.
func namedEnd(call messages.Call, r *messages.Report) messages.Write {
	return messages.Write{
		Kind: messages.WriteRelease, User: call.UserID, Client: call.ClientID, Call: r.Call(),
		Reason: messages.ReasonCompleted, Disposition: "sale", Report: r,
	}
}

func wantAdopted(t *testing.T, s persistence.Store, call messages.Call, r *messages.Report) {
	t.Helper()
	w := adopting(call, r)
	o := commitOne(t, s, w)
	wantNoEvent(t, o, messages.OutcomeDone)
	wantEqual(t, "the call", *messages.AnswerOf(w, o).Call, call)
	wantHeld(t, s, call)
}

func wantEnded(t *testing.T, s persistence.Store, call messages.Call, r *messages.Report) {
	t.Helper()
	o := commitOne(t, s, namedEnd(call, r))
	wantKind(t, o, messages.OutcomeDone)
	wantEqual(t, "the call that ended", o.Call, call)
	wantEqual(t, "reason", o.Event.Reason, messages.ReasonCompleted)
	wantEqual(t, "disposition", o.Event.Disposition, "sale")
	wantInOutbox(t, s, *o.Event)
	wantFree(t, s, call.UserID, call.ClientID)
}

// wantNotEnded fails unless the end is taken note of and the call goes on.
func wantNotEnded(t *testing.T, s persistence.Store, call messages.Call, r *messages.Report) {
	t.Helper()
	w := namedEnd(call, r)
	wantNoEvent(t, commitOne(t, s, w), messages.OutcomeCallOver)
	wantRepeated(t, s, w)
	wantHeld(t, s, call)
}

func nameAdopts(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	r := nameFor("pbx", call, 3*time.Second)
	// As by a user actor that did not know of the call.
	wantKind(t, commitOne(t, s, reported(claimOf(u, c), r)), messages.OutcomeUserHeld)
	wantAdopted(t, s, call, r)
	wantEnded(t, s, call, told(r, time.Minute))
	wantNoEvent(t, commitOne(t, s, reported(claimOf(u, c), told(r, 0))), messages.OutcomeCallOver)
	wantNoEvent(t, commitOne(t, s, namedEnd(call, told(r, time.Minute))), messages.OutcomeCallOver)
	wantFree(t, s, u.ID, c.ID)

	call = start(t, s, u, c) // by a renewal, and the end does not name the client
	r = nameFor("pbx", call, 0)
	w := renewalOf(call, 3*time.Hour, time.Hour)
	w.Report, w.Adopts = r, true
	o := commitOne(t, s, w)
	wantNoEvent(t, o, messages.OutcomeDone)
	wantHeld(t, s, o.Call)
	end := namedEnd(call, told(r, time.Minute))
	end.Client = messages.ClientID{}
	outcomes, err := s.Commit(t.Context(), []messages.Write{end})
	noError(t, err)
	wantEqual(t, "the call that ended", outcomes[0].Call, o.Call)
	wantFree(t, s, u.ID, c.ID)
}

func nameOnce(t *testing.T, s persistence.Store) {
	call := start(t, s, addUser(t, s), addClient(t, s))
	r := nameFor("pbx", call, 0)
	wantAdopted(t, s, call, r)
	wantRepeated(t, s, adopting(call, r))
	wantAdopted(t, s, call, told(r, time.Second)) // another event of it
	renewal := renewalOf(call, 3*time.Hour, 0)
	renewal.Report, renewal.Adopts = told(r, time.Minute), true
	o := commitOne(t, s, renewal)
	wantNoEvent(t, o, messages.OutcomeDone)
	wantRepeated(t, s, renewal)
	wantHeld(t, s, o.Call)
	over := namedEnd(call, told(r, time.Hour))
	wantKind(t, commitOne(t, s, over), messages.OutcomeDone)
	wantRepeated(t, s, over)
	wantRepeated(t, s, adopting(call, r))
}

func nameOfRefused(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	call, theirs := start(t, s, users[0], clients[0]), start(t, s, users[1], clients[1])
	r := nameFor("pbx", call, 0)
	w := adopting(call, r)
	w.Log = logOf(users[0], messages.Client{ID: newClientID()}, "about nobody")
	wantNoEvent(t, commitOne(t, s, w), messages.OutcomeNoClient)
	wantAdopted(t, s, theirs, r)
	wantHeld(t, s, call)
}

func nameOfOne(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	call, theirs := start(t, s, users[0], clients[0]), start(t, s, users[1], clients[1])
	r := nameFor("pbx", call, 0)
	wantAdopted(t, s, call, r)
	wantNoEvent(t, commitOne(t, s, adopting(theirs, told(r, 0))), messages.OutcomeCallOver)
	wantNotEnded(t, s, theirs, told(r, time.Minute))
	wantHeld(t, s, call)
	stranger := told(r, time.Minute)
	stranger.Source = "dialer"
	wantNotEnded(t, s, call, stranger) // whose name for it this is not
	other := namedEnd(call, told(r, time.Minute))
	other.Client = clients[1].ID
	wantNoEvent(t, commitOne(t, s, other), messages.OutcomeCallOver)
	wantHeld(t, s, call)
	wantEnded(t, s, call, told(r, time.Minute))

	next := start(t, s, users[0], clients[0]) // the name is of the one before
	wantNoEvent(t, commitOne(t, s, adopting(next, told(r, time.Hour))), messages.OutcomeCallOver)
	wantNotEnded(t, s, next, told(r, time.Hour))
}

func nameOfBegun(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	first := newReport("pbx")
	call := commitOne(t, s, reported(claimOf(u, c), first)).Call
	for _, source := range []string{"pbx", "dialer"} {
		w := adopting(call, nameFor(source, call, time.Minute))
		for range 2 { // it records nothing
			o := commitOne(t, s, w)
			wantNoEvent(t, o, messages.OutcomeNotSuperseded)
			wantEqual(t, "the call in the way", o.Call, call)
		}
		wantNotEnded(t, s, call, told(w.Report, time.Minute))
		wantNoEvent(t, commitOne(t, s, w), messages.OutcomeCallOver) // not even then
		wantHeld(t, s, call)
	}
	wantKind(t, commitOne(t, s, reportedEnd(claimOf(u, c), later(first))), messages.OutcomeDone)
}

func nameOfGone(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	end(t, s, call)
	r := nameFor("pbx", call, 0)
	for range 2 { // it records nothing
		wantNoEvent(t, commitOne(t, s, adopting(call, r)), messages.OutcomeCallGone)
	}
	next := start(t, s, u, c)
	wantNoEvent(t, commitOne(t, s, adopting(call, r)), messages.OutcomeCallGone)
	forged := next
	forged.Token++
	wantNoEvent(t, commitOne(t, s, adopting(forged, r)), messages.OutcomeCallGone)
	wantHeld(t, s, next)
	wantAdopted(t, s, next, r)
}
