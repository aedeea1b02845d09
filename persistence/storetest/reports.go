package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
)

func reportPromises() []promise {
	return []promise{
		{"I8: a reported event takes effect once, whatever it was", reportOnce},
		{"I8: one event from many goroutines takes effect once", reportConcurrent},
		{"A call that has ended does not begin again by a report", reportOfEnded},
		{"A call whose end was reported first never begins", reportEndFirst},
		{"The end of a call is found without its token", reportEndWithoutToken},
		{"Start and end at the same time leave no call behind", reportRace},
		{"A call is superseded by a later one of the same source alone", reportSuperseded},
		{"A repeated event supersedes nothing", reportSupersededOnce},
		{"A call that is over supersedes nothing, reported again as another event", reportOldNews},
		{"I6: the id of somebody else's call, as a reference, begins a call of its own", reportForeign},
		{"A claimed call is found by its id, as a reference", reportClaimed},
		{"I7: a refused report is told of, once", reportRefused},
		{"A refused call may be reported again", reportRefusedAgain},
		{"What lacks its user or client leaves nothing behind", reportNobody},
		{"I8: one event, or one call, twice in a batch", reportTwiceInBatch},
	}
}

func newReport(source string) *messages.Report {
	return &messages.Report{
		Source: source, ID: uuid.NewString(), CallRef: uuid.NewString(),
		OccurredAt: time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC),
	}
}

// reported is w as an event of the call's source asks for it.
func reported(w messages.Write, r *messages.Report) messages.Write {
	w.Report, w.Call = r, r.Call()
	return w
}

// later is another event of the same call.
func later(r *messages.Report) *messages.Report {
	next := *r
	next.ID, next.OccurredAt = uuid.NewString(), r.OccurredAt.Add(time.Minute)
	return &next
}

// reportedEnd is the end of a reported call, as one says it who does not know
// the call.
func reportedEnd(claim messages.Write, r *messages.Report) messages.Write {
	return messages.Write{
		Kind: messages.WriteRelease, User: claim.User, Client: claim.Client, Call: r.Call(),
		Reason: messages.ReasonCompleted, Disposition: "sale", Report: r,
	}
}

func wantRepeated(t *testing.T, s persistence.Store, w messages.Write) {
	t.Helper()
	o := commitOne(t, s, w)
	wantNoEvent(t, o, messages.OutcomeReplayed)
	if !messages.AnswerOf(w, o).Repeated {
		t.Fatal("the answer does not say that the report is repeated")
	}
}

func reportOnce(t *testing.T, s persistence.Store) {
	u, c, other := addUser(t, s), addClient(t, s), addUser(t, s)
	claim := reported(claimOf(u, c), newReport("pbx"))
	o := commitOne(t, s, claim)
	wantKind(t, o, messages.OutcomeDone)
	wantRepeated(t, s, claim)

	renewal := renewalOf(o.Call, 3*time.Hour, 0)
	renewal.Report = later(claim.Report)
	wantKind(t, commitOne(t, s, renewal), messages.OutcomeDone)
	before := heldBy(t, s, u.ID)
	wantRepeated(t, s, renewal)
	wantEqual(t, "the lease", heldBy(t, s, u.ID).LeaseExpiresAt, before.LeaseExpiresAt)

	note := messages.Write{Kind: messages.WriteNote, User: u.ID, Client: c.ID, Call: o.Call.ID, Report: later(claim.Report)}
	wantNoEvent(t, commitOne(t, s, note), messages.OutcomeDone)
	wantRepeated(t, s, note)

	refused := reported(claimOf(other, c), newReport("pbx"))
	wantKind(t, commitOne(t, s, refused), messages.OutcomeClientHeld)
	wantRepeated(t, s, refused)

	end := reportedEnd(claim, later(claim.Report))
	wantKind(t, commitOne(t, s, end), messages.OutcomeDone)
	wantRepeated(t, s, end)
	for _, w := range []messages.Write{claim, renewal, note, refused} {
		wantRepeated(t, s, w) // though all is free again
	}
	wantFree(t, s, u.ID, c.ID)
}

func reportConcurrent(t *testing.T, s persistence.Store) {
	const callers = 16
	users, c := addUsers(t, s, callers), addClient(t, s)
	r := newReport("pbx")
	outcomes := make([]messages.Outcome, callers)
	atOnce(callers, func(i int) {
		// The same event as if it named others each time: only one may count.
		outcomes[i] = insist(t, s, reported(claimOf(users[i], c), r))
	})
	done := 0
	for _, o := range outcomes {
		if o.Kind == messages.OutcomeDone {
			done++
		} else {
			wantKind(t, o, messages.OutcomeReplayed)
		}
	}
	wantEqual(t, "effects", done, 1)
}

// insist commits a write until the store has decided about it.
func insist(t *testing.T, s persistence.Store, w messages.Write) messages.Outcome {
	for {
		outcomes, err := s.Commit(t.Context(), []messages.Write{w})
		switch {
		case messages.CodeOf(err) == messages.CodeOverloaded:
			continue
		case err != nil:
			t.Error(err)
			return messages.Outcome{}
		case outcomes[0].Kind != messages.OutcomeNotApplied:
			return outcomes[0]
		}
	}
}

func reportOfEnded(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c) // by whatever means
	end(t, s, call)
	r := newReport("pbx")
	r.CallRef = call.ID.String()
	claim := reported(claimOf(u, c), r)
	wantNoEvent(t, commitOne(t, s, claim), messages.OutcomeCallOver)
	wantEqual(t, "answer", messages.AnswerOf(claim, messages.Outcome{Kind: messages.OutcomeCallOver}), messages.Answer{})
	wantRepeated(t, s, claim)

	refusal := messages.Write{
		Kind: messages.WriteNote, User: u.ID, Client: c.ID, Call: call.ID, Report: later(r),
		Refusal: &messages.Answer{Code: messages.CodeUserOnCall},
	}
	wantNoEvent(t, commitOne(t, s, refusal), messages.OutcomeCallOver)
	wantFree(t, s, u.ID, c.ID)
}

func reportEndFirst(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	for _, ref := range []string{"trunk-7/99", uuid.NewString(), "ref 🎯"} {
		r := newReport("urn:pbx")
		r.CallRef = ref + uuid.NewString()[30:]
		claim := reported(claimOf(u, c), r)
		early := reportedEnd(claim, later(r))
		wantNoEvent(t, commitOne(t, s, early), messages.OutcomeCallOver)
		wantNoEvent(t, commitOne(t, s, claim), messages.OutcomeCallOver)
		again := claim
		again.Report = later(r)
		wantNoEvent(t, commitOne(t, s, again), messages.OutcomeCallOver)
		wantFree(t, s, u.ID, c.ID)
	}
}

func reportEndWithoutToken(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	claim := claimOf(u, c)
	call := commitOne(t, s, claim).Call // claimed over HTTP, say
	r := newReport("pbx")
	r.CallRef = call.ID.String()
	other := reportedEnd(claim, newReport("pbx"))
	wantNoEvent(t, commitOne(t, s, other), messages.OutcomeCallOver)
	wantHeld(t, s, call)
	w := reportedEnd(claim, r)
	o := commitOne(t, s, w)
	wantKind(t, o, messages.OutcomeDone)
	wantEqual(t, "the call that ended", o.Call, call)
	wantEqual(t, "disposition", o.Event.Disposition, "sale")
	wantFree(t, s, u.ID, c.ID)
	wantNoEvent(t, commitOne(t, s, reported(claimOf(u, c), later(r))), messages.OutcomeCallOver)
}

// reportRace lets starts and ends of the same calls meet in every way, as on two
// nodes that each know only half of it.
func reportRace(t *testing.T, s persistence.Store) {
	const calls = 4
	rounds := unlessShort(30, 8)
	users, clients := addUsers(t, s, calls), addClients(t, s, calls)
	for range rounds {
		var claims, ends [calls]messages.Write
		for i := range calls {
			r := newReport("pbx")
			claims[i] = reported(claimOf(users[i], clients[i]), r)
			ends[i] = reportedEnd(claims[i], later(r))
		}
		atOnce(2*calls, func(n int) {
			if i := n / 2; n%2 == 0 {
				insist(t, s, claims[i])
			} else {
				insist(t, s, ends[i])
			}
		})
		for i := range calls {
			wantFree(t, s, users[i].ID, clients[i].ID)
		}
	}
}

func superseding(call messages.Call, r *messages.Report) messages.Write {
	w := releaseOf(call)
	w.Reason, w.Report = messages.ReasonSuperseded, r
	return w
}

func reportSuperseded(t *testing.T, s persistence.Store) {
	u, clients := addUser(t, s), addClients(t, s, 2)
	first := newReport("pbx")
	call := commitOne(t, s, reported(claimOf(u, clients[0]), first)).Call

	stranger, earlier, same := newReport("dialer"), newReport("pbx"), newReport("pbx")
	stranger.OccurredAt = first.OccurredAt.Add(time.Hour)
	earlier.OccurredAt = first.OccurredAt.Add(-time.Microsecond)
	for _, r := range []*messages.Report{stranger, earlier, same} {
		o := commitOne(t, s, superseding(call, r))
		wantNoEvent(t, o, messages.OutcomeNotSuperseded)
		wantEqual(t, "the call in the way", o.Call, call)
	}
	next := newReport("pbx")
	next.OccurredAt = first.OccurredAt.Add(time.Microsecond)
	o := commitOne(t, s, superseding(call, next))
	wantKind(t, o, messages.OutcomeDone)
	wantEqual(t, "reason", o.Event.Reason, messages.ReasonSuperseded)
	wantNoEvent(t, commitOne(t, s, superseding(call, next)), messages.OutcomeCallOver) // nothing was recorded
	o = commitOne(t, s, reported(claimOf(u, clients[1]), next))
	wantKind(t, o, messages.OutcomeDone)
	end(t, s, o.Call)

	byHand := start(t, s, u, clients[0]) // nobody reported this one
	late := newReport("pbx")
	late.OccurredAt = first.OccurredAt.Add(24 * time.Hour)
	wantKind(t, commitOne(t, s, superseding(byHand, late)), messages.OutcomeNotSuperseded)
	wantHeld(t, s, byHand)
}

func reportSupersededOnce(t *testing.T, s persistence.Store) {
	u, clients := addUser(t, s), addClients(t, s, 2)
	r := newReport("pbx")
	r.OccurredAt = r.OccurredAt.Add(time.Hour)
	wantKind(t, commitOne(t, s, reported(claimOf(u, clients[1]), r)), messages.OutcomeDone)
	wantKind(t, commitOne(t, s, reportedEnd(claimOf(u, clients[1]), later(r))), messages.OutcomeDone)
	wantFree(t, s, u.ID, clients[0].ID)
	call := commitOne(t, s, reported(claimOf(u, clients[0]), newReport("pbx"))).Call
	wantRepeated(t, s, superseding(call, r))
	wantHeld(t, s, call)
}

func reportRefused(t *testing.T, s persistence.Store) {
	holder, c := addUser(t, s), addClient(t, s)
	u, _ := addOdd(t, s)
	call := start(t, s, holder, c)
	caller := messages.Caller{ID: holder.ID, Name: holder.Name(), CallStartedAt: call.StartedAt}
	claim := reported(claimOf(u, c), newReport("urn:"+odd))
	note := reported(messages.Write{
		Kind: messages.WriteNote, User: u.ID, Client: c.ID,
		Refusal: &messages.Answer{Code: messages.CodeUserOnCall, Call: &call},
	}, newReport("pbx"))
	outcomes := commit(t, s, claim, note)
	for i, want := range []messages.Refusal{
		{Code: messages.CodeClientBeingCalled, Caller: &caller},
		{Code: messages.CodeUserOnCall, Call: &call},
	} {
		e, r := outcomes[i].Event, []messages.Write{claim, note}[i].Report
		if e == nil {
			t.Fatalf("I7: refusal %d is not told", i)
		}
		want.Source, want.ID, want.CallRef = r.Source, r.ID, r.CallRef
		wantEqual(t, "event", e, &messages.Event{
			ID: r.EventKey().String() + "/call.refused", Type: messages.EventCallRefused, At: e.At,
			Call: messages.Call{ID: r.Call(), UserID: u.ID, ClientID: c.ID}, User: u, Client: summaryOf(c), Refusal: &want,
		})
		wantInOutbox(t, s, *e)
	}
	wantRepeated(t, s, claim)
	wantRepeated(t, s, note)
	wantHeld(t, s, call)
}

// wantInOutbox fails unless the event stands in the outbox once, as it was told.
func wantInOutbox(t *testing.T, s persistence.Store, e messages.Event) {
	t.Helper()
	rows, err := s.OutboxRows(t.Context(), nil, 1<<20)
	noError(t, err)
	n := 0
	for _, row := range rows {
		for _, stored := range row.Events {
			if stored.ID == e.ID {
				wantEqual(t, "event in the outbox", stored, e)
				n++
			}
		}
	}
	wantEqual(t, "times in the outbox", n, 1)
}

func reportRefusedAgain(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	call := start(t, s, users[0], c)
	r := newReport("pbx")
	wantKind(t, commitOne(t, s, reported(claimOf(users[1], c), r)), messages.OutcomeClientHeld)
	end(t, s, call)
	wantKind(t, commitOne(t, s, reported(claimOf(users[1], c), later(r))), messages.OutcomeDone)
}

func reportNobody(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	nobody, none := messages.User{ID: newUserID()}, messages.Client{ID: newClientID()}
	r := newReport("pbx")
	wantNoEvent(t, commitOne(t, s, reported(claimOf(nobody, c), r)), messages.OutcomeNoUser)
	wantNoEvent(t, commitOne(t, s, reported(claimOf(u, none), r)), messages.OutcomeNoClient)
	call := start(t, s, u, addClient(t, s))
	wantNoEvent(t, commitOne(t, s, reported(claimOf(u, c), r)), messages.OutcomeUserHeld)
	end(t, s, call)
	wantKind(t, commitOne(t, s, reported(claimOf(u, c), r)), messages.OutcomeDone)
}

func reportTwiceInBatch(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 3), addClients(t, s, 3)
	r := newReport("pbx")
	claim := reported(claimOf(users[0], clients[0]), r)
	twice := reported(claimOf(users[1], clients[1]), r)
	ordinary := claimOf(users[2], clients[2])
	outcomes := commit(t, s, claim, twice, ordinary)
	wantKind(t, outcomes[0], messages.OutcomeDone)
	wantKind(t, outcomes[2], messages.OutcomeDone)
	if k := outcomes[1].Kind; k != messages.OutcomeNotApplied && k != messages.OutcomeReplayed {
		t.Fatalf("the same event is %s", outcomeName(k))
	}
	wantRepeated(t, s, twice)
	wantFree(t, s, users[1].ID, clients[1].ID)

	ended := newReport("pbx")
	start := reported(claimOf(users[1], clients[1]), ended)
	end := reportedEnd(start, later(ended))
	commit(t, s, start, end)
	insist(t, s, start)
	insist(t, s, end)
	wantFree(t, s, users[1].ID, clients[1].ID)
}
