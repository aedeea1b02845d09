package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/go-cmp/cmp"
)

func readerPromises() []promise {
	return []promise{
		{"ClaimsOfUsers returns the claims of those on a call", readClaimsOfUsers},
		{"ClaimsOfClients returns the claims of those being called", readClaimsOfClients},
		{"CallsInProgress returns every call with its user and its client", readCallsInProgress},
		{"EndedCalls returns those that have ended", readEndedCalls},
		{"ExistingClients returns those that exist", readExistingClients},
		{"Expired returns lapsed leases, the longest overdue first", readExpired},
		{"StartedBefore returns old calls, the oldest first", readStartedBefore},
		{"I3: what was acknowledged is read at once", readYourWrites},
		{"A thousand ids are asked for at once", readMany},
	}
}

func callIDs(claims []messages.HeldClaim) []messages.CallID {
	ids := make([]messages.CallID, len(claims))
	for i, h := range claims {
		ids[i] = h.ID
	}
	return ids
}

func sortedIDs(ids ...messages.CallID) []messages.CallID {
	slices.SortFunc(ids, func(a, b messages.CallID) int { return strings.Compare(a.String(), b.String()) })
	return ids
}

func readClaimsOfUsers(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 4), addClients(t, s, 3)
	a, b := start(t, s, users[0], clients[0]), start(t, s, users[1], clients[1])
	start(t, s, users[2], clients[2])
	got, err := s.ClaimsOfUsers(t.Context(), []messages.UserID{users[3].ID, users[1].ID, newUserID(), users[0].ID, users[1].ID})
	noError(t, err)
	wantEqual(t, "calls", sortedIDs(callIDs(got)...), sortedIDs(a.ID, b.ID))
	none, err := s.ClaimsOfUsers(t.Context(), nil)
	noError(t, err)
	wantEqual(t, "claims of nobody", len(none), 0)
}

func readClaimsOfClients(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 3), addClients(t, s, 4)
	a, b := start(t, s, users[0], clients[0]), start(t, s, users[1], clients[1])
	start(t, s, users[2], clients[2])
	got, err := s.ClaimsOfClients(t.Context(), []messages.ClientID{clients[3].ID, clients[1].ID, newClientID(), clients[0].ID, clients[0].ID})
	noError(t, err)
	wantEqual(t, "calls", sortedIDs(callIDs(got)...), sortedIDs(a.ID, b.ID))
	none, err := s.ClaimsOfClients(t.Context(), nil)
	noError(t, err)
	wantEqual(t, "claims of nobody", len(none), 0)
}

func readCallsInProgress(t *testing.T, s persistence.Store) {
	none, err := s.CallsInProgress(t.Context())
	noError(t, err)
	wantEqual(t, "calls of nobody", len(none), 0)

	users, clients := addUsers(t, s, 4), addClients(t, s, 4)
	want := map[messages.CallID]messages.LiveCall{}
	for i := range 3 {
		call := start(t, s, users[i], clients[i])
		want[call.ID] = messages.LiveCall{Call: call, User: users[i], Client: summaryOf(clients[i])}
	}
	noError(t, s.DisableUser(t.Context(), users[1].ID, newAudit("user.disabled")))
	over := start(t, s, users[3], clients[3])
	end(t, s, over)
	renewed := commitOne(t, s, renewalOf(heldBy(t, s, users[2].ID).Call, 3*time.Hour, 0)).Call
	want[renewed.ID] = messages.LiveCall{Call: renewed, User: users[2], Client: summaryOf(clients[2])}

	calls, err := s.CallsInProgress(t.Context())
	noError(t, err)
	got := map[messages.CallID]messages.LiveCall{}
	for _, l := range calls {
		got[l.Call.ID] = l
	}
	wantEqual(t, "calls", got, want)
	wantEqual(t, "number of calls", len(calls), len(want))
}

func summaryOf(c messages.Client) messages.ClientSummary {
	return messages.ClientSummary{ID: c.ID, Name: c.Name, Phone: c.Phone, Email: c.Email}
}

func readEndedCalls(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	first := start(t, s, users[0], clients[0])
	end(t, s, first)
	on, second := start(t, s, users[0], clients[0]), start(t, s, users[1], clients[1])
	end(t, s, second)
	got, err := s.EndedCalls(t.Context(), []messages.CallID{on.ID, second.ID, newCallID(), first.ID, first.ID})
	noError(t, err)
	slices.SortFunc(got, func(a, b messages.Call) int { return a.StartedAt.Compare(b.StartedAt) })
	first.LeaseExpiresAt, second.LeaseExpiresAt = time.Time{}, time.Time{}
	wantEqual(t, "calls", got, []messages.Call{first, second})
	none, err := s.EndedCalls(t.Context(), nil)
	noError(t, err)
	wantEqual(t, "calls of no id", len(none), 0)
}

func readExistingClients(t *testing.T, s persistence.Store) {
	clients := addClients(t, s, 3)
	got, err := s.ExistingClients(t.Context(), []messages.ClientID{newClientID(), clients[2].ID, clients[0].ID})
	noError(t, err)
	var ids []string
	for _, id := range got {
		ids = append(ids, id.String())
	}
	slices.Sort(ids)
	want := []string{clients[0].ID.String(), clients[2].ID.String()}
	slices.Sort(want)
	wantEqual(t, "clients", ids, want)
	none, err := s.ExistingClients(t.Context(), nil)
	noError(t, err)
	wantEqual(t, "clients of none", len(none), 0)
}

func readExpired(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 4), addClients(t, s, 4)
	calls := []messages.Call{
		startFor(t, s, users[0], clients[0], 3*time.Millisecond),
		startFor(t, s, users[1], clients[1], 2*time.Millisecond),
		startFor(t, s, users[2], clients[2], time.Millisecond),
	}
	start(t, s, users[3], clients[3])
	for _, call := range calls {
		waitExpired(t, s, call)
	}
	slices.SortFunc(calls, func(a, b messages.Call) int { return a.LeaseExpiresAt.Compare(b.LeaseExpiresAt) })
	got, err := s.Expired(t.Context(), 10)
	noError(t, err)
	wantEqual(t, "calls", callIDs(got), []messages.CallID{calls[0].ID, calls[1].ID, calls[2].ID})
	wantEqual(t, "the longest overdue", got[0].Call, calls[0])
	if got[0].Name == "" || got[0].Lease <= 0 {
		t.Fatalf("name or lease is missing: %+v", got[0])
	}
	got, err = s.Expired(t.Context(), 2)
	noError(t, err)
	wantEqual(t, "calls, at most two", callIDs(got), []messages.CallID{calls[0].ID, calls[1].ID})
}

func readStartedBefore(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 3), addClients(t, s, 3)
	var want []messages.CallID
	for i := range users {
		want = append(want, start(t, s, users[i], clients[i]).ID)
	}
	var got []messages.HeldClaim
	waitFor(t, "the calls to grow a millisecond old", func() bool {
		var err error
		got, err = s.StartedBefore(t.Context(), time.Millisecond, 10)
		noError(t, err)
		return len(got) == len(want)
	})
	wantEqual(t, "calls", callIDs(got), want)
	got, err := s.StartedBefore(t.Context(), time.Millisecond, 1)
	noError(t, err)
	wantEqual(t, "calls, at most one", callIDs(got), want[:1])
	got, err = s.StartedBefore(t.Context(), time.Hour, 10)
	noError(t, err)
	wantEqual(t, "calls older than an hour", len(got), 0)
}

func readYourWrites(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 4), addClients(t, s, 4)
	atOnce(4, func(i int) {
		for range 25 {
			got, err := s.Commit(t.Context(), []messages.Write{claimOf(users[i], clients[i])})
			if err != nil {
				t.Errorf("commit: %v", err)
				return
			}
			held, err := s.ClaimsOfUsers(t.Context(), []messages.UserID{users[i].ID})
			if err != nil || len(held) != 1 || !cmp.Equal(held[0].Call, got[0].Call) {
				t.Errorf("answered %+v, read %+v (%v)", got[0].Call, held, err)
				return
			}
			if _, err := s.Commit(t.Context(), []messages.Write{releaseOf(got[0].Call)}); err != nil {
				t.Errorf("commit: %v", err)
				return
			}
			held, err = s.ClaimsOfClients(t.Context(), []messages.ClientID{clients[i].ID})
			if err != nil || len(held) != 0 {
				t.Errorf("ended %s, read %+v (%v)", got[0].Call.ID, held, err)
				return
			}
		}
	})
}

func readMany(t *testing.T, s persistence.Store) {
	const n = 1000
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	users, clients := []messages.UserID{u.ID}, []messages.ClientID{c.ID}
	for range n {
		users, clients = append(users, newUserID()), append(clients, newClientID())
	}
	ofUsers, err := s.ClaimsOfUsers(t.Context(), users)
	noError(t, err)
	wantEqual(t, "claims of users", callIDs(ofUsers), []messages.CallID{call.ID})
	ofClients, err := s.ClaimsOfClients(t.Context(), clients)
	noError(t, err)
	wantEqual(t, "claims of clients", callIDs(ofClients), []messages.CallID{call.ID})
	existing, err := s.ExistingClients(t.Context(), clients)
	noError(t, err)
	wantEqual(t, "clients", existing, []messages.ClientID{c.ID})
}
