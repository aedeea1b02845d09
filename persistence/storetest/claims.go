package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func claimPromises() []promise {
	return []promise{
		{"Done: the claim is in progress as answered", claimDone},
		{"I1: a second user of a client is told who holds it", claimClientHeld},
		{"I2: a second call of a user is refused", claimUserHeld},
		{"UserHeld comes before ClientHeld", claimBothHeld},
		{"The very call that is in progress is Done again", claimVeryCall},
		{"NoUser: unknown or disabled", claimNoUser},
		{"NoClient: unknown or deleted", claimNoClient},
		{"I6: the token of a client strictly increases", claimTokenIncreases},
		{"I6: the token increases past a deletion of the client", claimTokenAfterDeletion},
		{"A refused claim leaves nothing behind", claimRefusedLeavesNothing},
		{"The holder without names is shown by e-mail address", claimHolderWithoutName},
		{"A lapsed lease holds its client until it is released", claimLapsedStillHolds},
	}
}

func claimDone(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	w := claimOf(u, c)
	w.Lease = 90 * time.Minute
	o := commitOne(t, s, w)
	wantKind(t, o, messages.OutcomeDone)
	if got := o.Call.LeaseExpiresAt.Sub(o.Call.StartedAt); got != w.Lease {
		t.Fatalf("the lease lasts %s, want %s", got, w.Lease)
	}
	wantEqual(t, "holder's name", o.Holder.Name, u.Name())
	wantHeld(t, s, o.Call)
	h := heldBy(t, s, u.ID)
	wantEqual(t, "name in the claim", h.Name, u.Name())
	wantEqual(t, "lease asked for", h.Lease, w.Lease)
}

func claimClientHeld(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	call := start(t, s, users[0], c)
	o := commitOne(t, s, claimOf(users[1], c))
	wantKind(t, o, messages.OutcomeClientHeld)
	wantEqual(t, "call", o.Call, call)
	wantEqual(t, "holder", o.Holder, messages.Caller{ID: users[0].ID, Name: users[0].Name(), CallStartedAt: call.StartedAt})
	wantHeld(t, s, call)
	if h := heldBy(t, s, users[1].ID); h != nil {
		t.Fatalf("I1: the refused user is on call %+v", h)
	}
}

func claimUserHeld(t *testing.T, s persistence.Store) {
	u, clients := addUser(t, s), addClients(t, s, 2)
	call := start(t, s, u, clients[0])
	for _, c := range clients { // another client, and the same with another call id
		o := commitOne(t, s, claimOf(u, c))
		wantKind(t, o, messages.OutcomeUserHeld)
		wantEqual(t, "call", o.Call, call)
	}
	wantHeld(t, s, call)
	if h := holderOf(t, s, clients[1].ID); h != nil {
		t.Fatalf("I2: the refused claim is in progress: %+v", h)
	}
}

func claimBothHeld(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	own := start(t, s, users[0], clients[0])
	start(t, s, users[1], clients[1])
	o := commitOne(t, s, claimOf(users[0], clients[1]))
	wantKind(t, o, messages.OutcomeUserHeld)
	wantEqual(t, "call", o.Call, own)
}

func claimVeryCall(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	w := claimOf(u, c)
	first := commitOne(t, s, w)
	again := commitOne(t, s, w)
	wantKind(t, again, messages.OutcomeDone)
	wantEqual(t, "call", again.Call, first.Call)
	wantEqual(t, "holder", again.Holder, first.Holder)
	wantHeld(t, s, first.Call)
}

func claimNoUser(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	wantKind(t, commitOne(t, s, claimOf(messages.User{ID: newUserID()}, c)), messages.OutcomeNoUser)
	noError(t, s.DisableUser(t.Context(), u.ID, newAudit("user.disabled")))
	wantKind(t, commitOne(t, s, claimOf(u, c)), messages.OutcomeNoUser)
	wantFree(t, s, u.ID, c.ID)
}

func claimNoClient(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	wantKind(t, commitOne(t, s, claimOf(u, messages.Client{ID: newClientID()})), messages.OutcomeNoClient)
	noError(t, s.DeleteClient(t.Context(), c.ID, newAudit("client.deleted")))
	wantKind(t, commitOne(t, s, claimOf(u, c)), messages.OutcomeNoClient)
	wantFree(t, s, u.ID, c.ID)
}

func claimTokenIncreases(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	last := map[messages.ClientID]int64{}
	for i := range 12 {
		c := clients[(i/3)%2]
		call := start(t, s, users[i%2], c)
		if call.Token <= last[c.ID] {
			t.Fatalf("call %d of the client has token %d after %d", i, call.Token, last[c.ID])
		}
		last[c.ID] = call.Token
		end(t, s, call)
	}
}

func claimTokenAfterDeletion(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	first := start(t, s, u, c)
	end(t, s, first)
	noError(t, s.DeleteClient(t.Context(), c.ID, newAudit("client.deleted")))
	noError(t, s.AddClients(t.Context(), []messages.Client{c}))
	second := start(t, s, u, c)
	if second.Token <= first.Token {
		t.Fatalf("token %d after %d: a stale holder could end the new call", second.Token, first.Token)
	}
}

func claimRefusedLeavesNothing(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	call := start(t, s, users[0], c)
	refused := claimOf(users[1], c)
	wantKind(t, commitOne(t, s, refused), messages.OutcomeClientHeld)
	end(t, s, call)
	wantFree(t, s, users[1].ID, c.ID)
	// The same write can be made again, and now goes through.
	o := commitOne(t, s, refused)
	wantKind(t, o, messages.OutcomeDone)
	wantHeld(t, s, o.Call)
}

func claimHolderWithoutName(t *testing.T, s persistence.Store) {
	c := addClient(t, s)
	people, err := s.AddUsers(t.Context(), []messages.NewUser{newUser("", ""), newUser("", "Last")})
	noError(t, err)
	start(t, s, people[0], c)
	o := commitOne(t, s, claimOf(people[1], c))
	wantKind(t, o, messages.OutcomeClientHeld)
	wantEqual(t, "holder's name", o.Holder.Name, people[0].Email)
	wantEqual(t, "name in the claim", heldBy(t, s, people[0].ID).Name, people[0].Email)
}

func claimLapsedStillHolds(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	call := startFor(t, s, users[0], c, time.Microsecond)
	waitExpired(t, s, call)
	o := commitOne(t, s, claimOf(users[1], c))
	wantKind(t, o, messages.OutcomeClientHeld)
	wantEqual(t, "call", o.Call, call)
}
