package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func renewPromises() []promise {
	return []promise{
		{"Done: the lease ends Lease and Slack from now", renewDone},
		{"A renewal can shorten the lease", renewShortens},
		{"Slack is kept from the caller", renewSlackHidden},
		{"I6: another token, call or user changes nothing", renewFenced},
		{"A renewal never brings a call back that is over", renewOver},
		{"A lapsed lease that nobody ended can be renewed", renewLapsed},
		{"Two renewals of a call in one batch leave no less than either was answered", renewTwice},
	}
}

func renewDone(t *testing.T, s persistence.Store) {
	call := startFor(t, s, addUser(t, s), addClient(t, s), time.Minute)
	o := commitOne(t, s, renewalOf(call, 2*time.Hour, 30*time.Minute))
	wantKind(t, o, messages.OutcomeDone)
	got := o.Call.LeaseExpiresAt.Sub(call.StartedAt)
	if got < 150*time.Minute || got > 155*time.Minute {
		t.Fatalf("the lease ends %s after the start, want two and a half hours and what has passed", got)
	}
	want := call
	want.LeaseExpiresAt = o.Call.LeaseExpiresAt
	wantEqual(t, "call", o.Call, want)
	wantHeld(t, s, o.Call)
	wantEqual(t, "lease asked for", heldBy(t, s, call.UserID).Lease, 2*time.Hour)
}

func renewShortens(t *testing.T, s persistence.Store) {
	call := startFor(t, s, addUser(t, s), addClient(t, s), 2*time.Hour)
	o := commitOne(t, s, renewalOf(call, time.Microsecond, 0))
	wantKind(t, o, messages.OutcomeDone)
	waitExpired(t, s, call)
}

func renewSlackHidden(t *testing.T, s persistence.Store) {
	call := start(t, s, addUser(t, s), addClient(t, s))
	key := newKey("renew")
	w := withKey(renewalOf(call, time.Hour, 15*time.Minute), key)
	first := commitOne(t, s, w)
	replay := commitOne(t, s, w)
	wantKind(t, replay, messages.OutcomeReplayed)
	wantEqual(t, "slack", first.Call.LeaseExpiresAt.Sub(replay.Replay.Call.LeaseExpiresAt), 15*time.Minute)
}

func renewFenced(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	call := start(t, s, users[0], c)
	for name, change := range map[string]func(*messages.Write){
		"another token": func(w *messages.Write) { w.Token++ },
		"another call":  func(w *messages.Write) { w.Call = newCallID() },
		"another user":  func(w *messages.Write) { w.User = users[1].ID },
	} {
		w := renewalOf(call, 5*time.Hour, 0)
		change(&w)
		if o := commitOne(t, s, w); o.Kind != messages.OutcomeCallOver {
			t.Errorf("%s: outcome is %s, want CallOver", name, outcomeName(o.Kind))
		}
		wantHeld(t, s, call)
	}
}

func renewOver(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	end(t, s, call)
	wantKind(t, commitOne(t, s, renewalOf(call, time.Hour, 0)), messages.OutcomeCallOver)
	wantFree(t, s, u.ID, c.ID)
}

func renewLapsed(t *testing.T, s persistence.Store) {
	call := startFor(t, s, addUser(t, s), addClient(t, s), time.Microsecond)
	waitExpired(t, s, call)
	o := commitOne(t, s, renewalOf(call, time.Hour, 0))
	wantKind(t, o, messages.OutcomeDone)
	expired, err := s.Expired(t.Context(), 1000)
	noError(t, err)
	for _, h := range expired {
		if h.ID == call.ID {
			t.Fatal("a renewed lease counts as run out")
		}
	}
}

func renewTwice(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	up, down := start(t, s, users[0], clients[0]), start(t, s, users[1], clients[1])
	outcomes := commit(
		t, s,
		renewalOf(up, 10*time.Minute, 0), renewalOf(down, 20*time.Minute, 0),
		renewalOf(up, 20*time.Minute, 0), renewalOf(down, 10*time.Minute, 0),
	)
	for i, o := range outcomes {
		wantKind(t, o, messages.OutcomeDone)
		if h := heldBy(t, s, o.Call.UserID); h.LeaseExpiresAt.Before(o.Call.LeaseExpiresAt) {
			t.Fatalf("renewal %d was answered %s, the store holds %s", i, o.Call.LeaseExpiresAt, h.LeaseExpiresAt)
		}
	}
}
