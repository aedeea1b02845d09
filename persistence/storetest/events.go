package storetest

import (
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func eventPromises() []promise {
	return []promise{
		{"I7: the start of a call tells who calls whom", eventOfStart},
		{"I7: the end of a call tells how it ended, and when", eventOfEnd},
		{"I7: an end tells what its user and client are called by then", eventOfChanged},
		{"I7: an end that brings the event of its start may tell what that one told", eventOfKnown},
		{"I7: a claim that was in progress before starts nothing", eventOfVeryCall},
		{"I7: what is refused, renewed or noted starts and ends nothing", eventOfNothing},
		{"I7, I8: a replay starts and ends nothing", eventOfReplay},
	}
}

// odd is a text that encodings like to get wrong.
const odd = "Zoë \"Ü\" <b>&amp;\\u0000</b>\n\t🎯 \u2028\x7f"

// addOdd makes an administrator and a client with names that are hard to write.
func addOdd(t *testing.T, s persistence.Store) (messages.User, messages.Client) {
	t.Helper()
	someone := newUser(odd, "d'"+odd)
	someone.Role = messages.RoleAdmin
	users, err := s.AddUsers(t.Context(), []messages.NewUser{someone})
	noError(t, err)
	c := newClient("c " + odd)
	c.Phone = "ext. \"7\""
	noError(t, s.AddClients(t.Context(), []messages.Client{c}))
	return users[0], c
}

func eventOfStart(t *testing.T, s persistence.Store) {
	u, c := addOdd(t, s)
	o := commitOne(t, s, claimOf(u, c))
	wantKind(t, o, messages.OutcomeDone)
	wantEqual(t, "event", o.Event, &messages.Event{
		ID: messages.EventID(o.Call.ID, messages.EventCallStarted), Type: messages.EventCallStarted,
		At: o.Call.StartedAt, Call: o.Call, User: u, Client: summaryOf(c),
	})
}

func eventOfEnd(t *testing.T, s persistence.Store) {
	u, c := addOdd(t, s)
	for _, reason := range []messages.EndReason{
		messages.ReasonCompleted, messages.ReasonLogSaved, messages.ReasonForceReleased, messages.ReasonSuperseded,
	} {
		call := start(t, s, u, c)
		w := releaseOf(call)
		w.Reason, w.Disposition, w.Notes = reason, odd, "told to nobody"
		o := commitOne(t, s, w)
		wantKind(t, o, messages.OutcomeDone)
		wantEqual(t, "event", o.Event, &messages.Event{
			ID: messages.EventID(call.ID, messages.EventCallEnded), Type: messages.EventCallEnded,
			At: o.Event.At, Call: call, User: u, Client: summaryOf(c), Reason: reason, Disposition: odd,
		})
		next := start(t, s, u, c)
		if next.StartedAt.Before(o.Event.At) {
			t.Fatalf("the next call started at %s, before the end at %s", next.StartedAt, o.Event.At)
		}
		end(t, s, next)
	}
}

func eventOfChanged(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	c = update(t, s, patchTo(c.ID, "Renamed", "+14155550199", "", c.Notes))
	noError(t, s.DisableUser(t.Context(), u.ID, newAudit("user.disabled")))
	o := commitOne(t, s, releaseOf(call))
	wantKind(t, o, messages.OutcomeDone)
	wantEqual(t, "user", o.Event.User, u)
	wantEqual(t, "client", o.Event.Client, summaryOf(c))
}

func eventOfKnown(t *testing.T, s persistence.Store) {
	const calls = 12
	users, clients := addUsers(t, s, calls), addClients(t, s, calls)
	claims, ends := make([]messages.Write, calls), make([]messages.Write, calls)
	for i := range claims {
		claims[i] = claimOf(users[i], clients[i])
	}
	started := commit(t, s, claims...)
	for _, known := range []int{calls, calls - 1} { // of all; of all but one
		for i, o := range started {
			wantKind(t, o, messages.OutcomeDone)
			ends[i] = releaseOf(o.Call)
			ends[i].Started = o.Event
			if i >= known {
				ends[i].Started = started[0].Event // of another call
			}
		}
		for i, o := range commit(t, s, ends...) {
			wantKind(t, o, messages.OutcomeDone)
			wantEqual(t, "event", o.Event, &messages.Event{
				ID: messages.EventID(o.Call.ID, messages.EventCallEnded), Type: messages.EventCallEnded, At: o.Event.At,
				Call: started[i].Call, User: users[i], Client: summaryOf(clients[i]), Reason: messages.ReasonCompleted,
			})
			claims[i] = claimOf(users[i], clients[i])
		}
		started = commit(t, s, claims...)
	}
}

// wantNoEvent fails if what is committed again tells anything.
func wantNoEvent(t *testing.T, o messages.Outcome, want messages.OutcomeKind) {
	t.Helper()
	wantKind(t, o, want)
	if o.Event != nil {
		t.Fatalf("I7: it is %s and tells %+v", outcomeName(o.Kind), o.Event)
	}
}

func eventOfVeryCall(t *testing.T, s persistence.Store) {
	w := claimOf(addUser(t, s), addClient(t, s))
	first := commitOne(t, s, w)
	if first.Event == nil {
		t.Fatal("I7: a call was started without an event")
	}
	wantNoEvent(t, commitOne(t, s, w), messages.OutcomeDone)
	// The same claim twice in one batch: one of the two made it.
	w = claimOf(addUser(t, s), addClient(t, s))
	both := commit(t, s, w, w)
	if (both[0].Event == nil) == (both[1].Event == nil) {
		t.Fatalf("I7: the events of a claim that was made once: %+v and %+v", both[0].Event, both[1].Event)
	}
}

func eventOfNothing(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	call := start(t, s, users[0], clients[0])
	wantNoEvent(t, commitOne(t, s, claimOf(users[1], clients[0])), messages.OutcomeClientHeld)
	wantNoEvent(t, commitOne(t, s, claimOf(users[0], clients[1])), messages.OutcomeUserHeld)
	wantNoEvent(t, commitOne(t, s, renewalOf(call, 2*messages.MinLease, 0)), messages.OutcomeDone)
	wantNoEvent(t, commitOne(t, s, expiryOf(renewedHour(t, s, call))), messages.OutcomeNotExpired)
	wantNoEvent(t, commitOne(t, s, noteOf(users[0], logOf(users[0], clients[0], "meanwhile"))), messages.OutcomeDone)
	stale := releaseOf(call)
	stale.Token++
	stale.Log = logOf(users[0], clients[0], "too late")
	wantNoEvent(t, commitOne(t, s, stale), messages.OutcomeCallOver)
	refused := releaseOf(call)
	refused.Log = logOf(users[0], messages.Client{ID: newClientID()}, "about nobody")
	wantNoEvent(t, commitOne(t, s, refused), messages.OutcomeNoClient)
}

func renewedHour(t *testing.T, s persistence.Store, call messages.Call) messages.Call {
	t.Helper()
	o := commitOne(t, s, renewalOf(call, 2*messages.DefaultLease, 0))
	wantNoEvent(t, o, messages.OutcomeDone)
	return o.Call
}

func eventOfReplay(t *testing.T, s persistence.Store) {
	claim := withKey(claimOf(addUser(t, s), addClient(t, s)), newKey("start"))
	o := commitOne(t, s, claim)
	wantKind(t, o, messages.OutcomeDone)
	wantNoEvent(t, commitOne(t, s, claim), messages.OutcomeReplayed)
	release := withKey(releaseOf(o.Call), newKey("end"))
	wantKind(t, commitOne(t, s, release), messages.OutcomeDone)
	wantNoEvent(t, commitOne(t, s, release), messages.OutcomeReplayed)
	wantNoEvent(t, commitOne(t, s, releaseOf(o.Call)), messages.OutcomeCallOver)
}
