package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func nameInBatch(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 4), addClients(t, s, 4)
	var calls []messages.Call
	for i := range 3 {
		calls = append(calls, start(t, s, users[i], clients[i]))
	}
	first, second := nameFor("pbx", calls[0], 0), nameFor("pbx", calls[0], time.Minute)
	outcomes := commit(t, s,
		claimOf(users[3], clients[3]), adopting(calls[0], second), releaseOf(calls[2]), adopting(calls[0], first),
		adopting(calls[1], nameFor("pbx", calls[1], 0)))
	for _, o := range outcomes {
		wantKind(t, o, messages.OutcomeDone)
	}
	commit(t, s, releaseOf(outcomes[0].Call), namedEnd(calls[0], told(first, time.Hour)), claimOf(users[2], clients[2]))
	wantHeld(t, s, calls[0])
	outcomes = commit(t, s, claimOf(users[3], clients[3]), namedEnd(calls[0], told(second, time.Hour)))
	for _, o := range outcomes {
		wantKind(t, o, messages.OutcomeDone)
	}
	wantFree(t, s, users[0].ID, clients[0].ID)
	wantHeld(t, s, calls[1])
}

// report has the report of a start take its effect on what the user is on, as a user
// actor does. It returns the call that it is about, or nil: it is over.
func report(t *testing.T, s persistence.Store, call messages.Call, r *messages.Report) *messages.Call {
	claim := messages.Write{Kind: messages.WriteClaim, User: call.UserID, Client: call.ClientID, Call: r.Call(), Report: r, Lease: time.Hour}
	for {
		w := adopting(call, r)
		o := insist(t, s, w)
		if o.Kind == messages.OutcomeFoundOver {
			w = adoptingEnd(call, r)
			o = insist(t, s, w)
		}
		if o.Kind == messages.OutcomeCallGone {
			w = claim
			o = insist(t, s, w)
		}
		switch {
		case o.Kind == messages.OutcomeUserHeld:
			call = o.Call // and once more
		case o.Kind == messages.OutcomeDone && w.Kind != messages.WriteRelease:
			return &o.Call
		default:
			return nil
		}
	}
}

// nameRace lets start, end and the click that ends the call meet in every way, as on
// three nodes that each know only part of it.
func nameRace(t *testing.T, s persistence.Store) {
	const pairs = 4
	rounds := unlessShort(20, 5)
	users, clients := addUsers(t, s, pairs), addClients(t, s, pairs)
	for round := range rounds {
		var calls [pairs]messages.Call
		var starts, ends [pairs]*messages.Report
		for i := range pairs {
			calls[i] = start(t, s, users[i], clients[i])
			starts[i] = nameFor("pbx", calls[i], 0)
			ends[i] = told(starts[i], time.Minute)
		}
		atOnce(3*pairs, func(n int) {
			switch i := n / 3; n % 3 {
			case 0:
				report(t, s, calls[i], starts[i])
			case 1:
				insist(t, s, namedEnd(calls[i], ends[i]))
			case 2:
				if round%2 == 0 {
					insist(t, s, releaseOf(calls[i]))
				}
			}
		})
		for i := range pairs {
			wantFree(t, s, users[i].ID, clients[i].ID)
		}
	}
}

// nameSecondLegRace: a client whom the user is still talking to by the second leg is
// not free, and is when that one is over.
func nameSecondLegRace(t *testing.T, s persistence.Store) {
	const pairs = 4
	rounds := unlessShort(20, 5)
	users, clients := addUsers(t, s, pairs), addClients(t, s, pairs)
	for range rounds {
		var calls [pairs]messages.Call
		var firsts, seconds [pairs]*messages.Report
		for i := range pairs {
			calls[i] = start(t, s, users[i], clients[i])
			firsts[i], seconds[i] = nameFor("pbx", calls[i], 0), nameFor("pbx", calls[i], time.Second)
			wantAdopted(t, s, calls[i], firsts[i])
		}
		atOnce(2*pairs, func(n int) {
			if i := n / 2; n%2 == 0 {
				insist(t, s, namedEnd(calls[i], told(firsts[i], time.Minute)))
			} else if report(t, s, calls[i], seconds[i]) == nil {
				t.Errorf("the second leg of %s is over, says the store", calls[i].ID)
			}
		})
		for i := range pairs {
			h := heldBy(t, s, users[i].ID)
			if h == nil || h.ClientID != clients[i].ID {
				t.Fatalf("the client of a second leg is free: %+v", h)
			}
			w := namedEnd(h.Call, told(seconds[i], time.Hour))
			wantKind(t, commitOne(t, s, w), messages.OutcomeDone)
			wantFree(t, s, users[i].ID, clients[i].ID)
		}
	}
}
