package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func nameEndFirst(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	r := nameFor("pbx", call, time.Second)
	wantNotEnded(t, s, call, told(r, time.Minute)) // whose end this is, nobody can know yet
	for range 2 {                                  // it records nothing
		wantNoEvent(t, commitOne(t, s, adopting(call, r)), messages.OutcomeFoundOver)
	}
	renewal := renewalOf(call, time.Hour, 0)
	renewal.Report, renewal.Adopts = r, true
	wantNoEvent(t, commitOne(t, s, renewal), messages.OutcomeFoundOver)
	w := adoptingEnd(call, r)
	o := commitOne(t, s, w)
	wantKind(t, o, messages.OutcomeDone)
	wantEqual(t, "the call that ended", o.Call, call)
	wantRepeated(t, s, w)
	wantFree(t, s, u.ID, c.ID)

	call = start(t, s, u, c) // what follows is no way to end a call that is not over
	r = nameFor("pbx", call, 0)
	wantNoEvent(t, commitOne(t, s, adoptingEnd(call, r)), messages.OutcomeCallOver)
	wantHeld(t, s, call)
	r = nameFor("pbx", call, 0)
	wantAdopted(t, s, call, r)
	end(t, s, call)
	wantNoEvent(t, commitOne(t, s, adoptingEnd(call, told(r, 0))), messages.OutcomeCallGone)
}

// nameOfEarlier: what the source tells late of a telephone call that was over before
// the user claimed the client, in either order, does nothing to the claim. Clocks may
// differ by a little.
func nameOfEarlier(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	for _, endFirst := range []bool{false, true} {
		call := start(t, s, u, c)
		r := nameFor("pbx", call, -10*time.Minute)
		if endFirst {
			wantNotEnded(t, s, call, told(r, 9*time.Minute))
			wantNoEvent(t, commitOne(t, s, adopting(call, r)), messages.OutcomeCallOver)
		} else {
			wantAdopted(t, s, call, r)
			wantNotEnded(t, s, call, told(r, 9*time.Minute))
		}
		wantHeld(t, s, call)
		// Nor may it be superseded by what came before it.
		next := nameFor("pbx", call, -5*time.Minute)
		wantNoEvent(t, commitOne(t, s, superseding(call, next)), messages.OutcomeNotSuperseded)

		own := nameFor("pbx", call, time.Second) // the call itself
		wantAdopted(t, s, call, own)
		wantNotEnded(t, s, call, told(r, time.Hour)) // a line that hung all the time
		wantEnded(t, s, call, told(own, time.Minute))
	}

	for _, some := range []struct {
		began, ended time.Duration // after the call
		ends         bool
	}{
		{-time.Minute, time.Second, true}, // who dials first and clicks then
		{-time.Second, -time.Second, true},
		{-time.Second, -3 * time.Second, false},
		{-time.Minute, -30 * time.Second, false}, // a clock that is behind: in doubt it goes on
		{time.Hour, time.Hour, true},             // one that is ahead
	} {
		for _, endFirst := range []bool{false, true} {
			call := start(t, s, u, c)
			r := nameFor("pbx", call, some.began)
			over := told(r, some.ended-some.began)
			switch {
			case endFirst && some.ends:
				wantNotEnded(t, s, call, over)
				wantKind(t, commitOne(t, s, adopting(call, r)), messages.OutcomeFoundOver)
				wantKind(t, commitOne(t, s, adoptingEnd(call, r)), messages.OutcomeDone)
			case endFirst:
				wantNotEnded(t, s, call, over)
				wantNoEvent(t, commitOne(t, s, adopting(call, r)), messages.OutcomeCallOver)
			case some.ends:
				wantAdopted(t, s, call, r)
				wantEnded(t, s, call, over)
			default:
				wantAdopted(t, s, call, r)
				wantNotEnded(t, s, call, over)
			}
			if !some.ends {
				wantHeld(t, s, call)
				end(t, s, call)
			}
		}
	}
}

func nameOfTwoSources(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	for first := range 2 {
		call := start(t, s, u, c)
		both := []*messages.Report{nameFor("pbx", call, 0), nameFor("dialer", call, time.Minute)}
		for _, r := range both {
			wantAdopted(t, s, call, r)
		}
		wantEnded(t, s, call, told(both[first], time.Hour))
		wantNoEvent(t, commitOne(t, s, namedEnd(call, told(both[1-first], time.Hour))), messages.OutcomeCallOver)
	}
}

// nameLast: a second leg, or a line that broke and was dialled again. Whichever of the
// two starts comes first, the end of the later one counts.
func nameLast(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	for _, inOrder := range []bool{true, false} {
		call := start(t, s, u, c)
		first, second := nameFor("pbx", call, time.Second), nameFor("pbx", call, time.Minute)
		starts := []*messages.Report{first, second}
		if !inOrder {
			starts = []*messages.Report{second, first}
		}
		for _, r := range starts {
			wantAdopted(t, s, call, r)
		}
		wantAdopted(t, s, call, told(first, time.Hour)) // a renewal, say, is no later name
		wantNotEnded(t, s, call, told(first, 2*time.Hour))
		wantEnded(t, s, call, told(second, time.Hour))
		wantNoEvent(t, commitOne(t, s, namedEnd(call, told(first, 3*time.Hour))), messages.OutcomeCallOver)
	}

	call := start(t, s, u, c) // the end of the first leg comes before its start, and that late
	first, second := nameFor("pbx", call, time.Second), nameFor("pbx", call, time.Minute)
	wantAdopted(t, s, call, second)
	wantNotEnded(t, s, call, told(first, time.Hour))
	wantNoEvent(t, commitOne(t, s, adopting(call, first)), messages.OutcomeCallOver)
	wantEnded(t, s, call, told(second, time.Hour))
}

func nameSuperseded(t *testing.T, s persistence.Store) {
	u, clients := addUser(t, s), addClients(t, s, 2)
	call := start(t, s, u, clients[0])
	first := nameFor("pbx", call, time.Second)
	wantAdopted(t, s, call, first)
	old := nameFor("pbx", call, time.Hour)
	wantNotEnded(t, s, call, old)
	for _, r := range []*messages.Report{
		nameFor("dialer", call, time.Hour), nameFor("pbx", call, 0), nameFor("pbx", call, time.Second), told(old, time.Hour),
	} {
		o := commitOne(t, s, superseding(call, r))
		wantNoEvent(t, o, messages.OutcomeNotSuperseded)
		wantEqual(t, "the call in the way", o.Call, call)
	}
	wantHeld(t, s, call)
	next := nameFor("pbx", call, time.Minute)
	o := commitOne(t, s, superseding(call, next))
	wantKind(t, o, messages.OutcomeDone)
	wantEqual(t, "reason", o.Event.Reason, messages.ReasonSuperseded)
	wantKind(t, commitOne(t, s, reported(claimOf(u, clients[1]), next)), messages.OutcomeDone)
	wantNoEvent(t, commitOne(t, s, namedEnd(call, told(first, time.Hour))), messages.OutcomeCallOver)
	wantKind(t, commitOne(t, s, reportedEnd(claimOf(u, clients[1]), later(next))), messages.OutcomeDone)
}

func nameOfOver(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	for _, expires := range []bool{false, true} {
		call := startFor(t, s, u, c, time.Millisecond)
		r := nameFor("pbx", call, 0)
		wantKind(t, commitOne(t, s, adopting(call, r)), messages.OutcomeDone)
		w := releaseOf(call) // on the page, say
		if expires {
			waitExpired(t, s, call)
			w.Reason = messages.ReasonExpired
		}
		wantKind(t, commitOne(t, s, w), messages.OutcomeDone)
		wantNoEvent(t, commitOne(t, s, reported(claimOf(u, c), told(r, time.Second))), messages.OutcomeCallOver)
		next := start(t, s, u, c)
		wantNotEnded(t, s, next, told(r, time.Hour))
		end(t, s, next)
	}
}

func nameForgotten(t *testing.T, s persistence.Store) {
	call := start(t, s, addUser(t, s), addClient(t, s))
	r := nameFor("pbx", call, 0)
	wantAdopted(t, s, call, r)
	removed := 0
	waitFor(t, "the name to be forgotten", func() bool {
		n, err := s.PruneReports(t.Context(), time.Microsecond, 100)
		noError(t, err)
		removed += n
		return removed >= 3
	})
	wantEqual(t, "rows removed", removed, 3) // the event, the name, and that it is the last one
	again := told(r, time.Minute)
	wantAdopted(t, s, call, again)
	waitFor(t, "it to be forgotten again", func() bool {
		n, err := s.PruneReports(t.Context(), time.Microsecond, 100)
		noError(t, err)
		removed += n
		return removed >= 6
	})
	wantNotEnded(t, s, call, told(r, time.Hour))
}
