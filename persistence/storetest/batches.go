package storetest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func batchPromises() []promise {
	return []promise{
		{"An empty batch is nothing", batchEmpty},
		{"Outcomes come in the order of the writes", batchOrder},
		{"Releases take effect before claims, whatever their order", batchReleaseThenClaim},
		{"Releases take effect before renewals, whatever their order", batchReleaseThenRenewal},
		{"A claim is not released or renewed by its own batch", batchClaimIsLast},
		{"I5: two releases of one call in a batch, one Done", batchTwoReleases},
		{"I1: two claims of one client by two users, one Done", batchTwoClaimsOfClient},
		{"I2: two claims by one user, one Done", batchTwoClaimsByUser},
		{"Two users swap their clients in one batch", batchSwap},
		{"A refused write does not keep the others from happening", batchRefusedAmongOthers},
		{"I6: a client is released and claimed again in one batch", batchTokenGoesOn},
		{"A batch of a thousand writes", batchLarge},
		{"I1, I2, I4, I5, I6: random batches", batchRandom},
	}
}

func batchEmpty(t *testing.T, s persistence.Store) {
	wantEqual(t, "outcomes", len(commit(t, s)), 0)
}

func batchOrder(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 4), addClients(t, s, 4)
	ended, renewed := start(t, s, users[0], clients[0]), start(t, s, users[1], clients[1])
	claim := claimOf(users[2], clients[2])
	outcomes := commit(
		t, s, claim,
		noteOf(users[3], logOf(users[3], clients[3], "a log")),
		renewalOf(renewed, 3*time.Hour, 0),
		claimOf(users[3], messages.Client{ID: newClientID()}),
		releaseOf(ended),
	)
	for i, want := range []messages.OutcomeKind{
		messages.OutcomeDone, messages.OutcomeDone, messages.OutcomeDone, messages.OutcomeNoClient, messages.OutcomeDone,
	} {
		wantKind(t, outcomes[i], want)
	}
	wantEqual(t, "claim", outcomes[0].Call.ID, claim.Call)
	wantEqual(t, "log", outcomes[1].Log.Notes, "a log")
	wantEqual(t, "renewed call", outcomes[2].Call.ID, renewed.ID)
	wantEqual(t, "ended call", outcomes[4].Call, ended)
}

func batchReleaseThenClaim(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	call := start(t, s, users[0], clients[0])
	// The next call of the user and the next of the client, before the release.
	outcomes := commit(t, s, claimOf(users[0], clients[1]), claimOf(users[1], clients[0]), releaseOf(call))
	for _, o := range outcomes {
		wantKind(t, o, messages.OutcomeDone)
	}
	wantHeld(t, s, outcomes[0].Call)
	wantHeld(t, s, outcomes[1].Call)
}

func batchReleaseThenRenewal(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	outcomes := commit(t, s, renewalOf(call, 2*time.Hour, 0), releaseOf(call))
	wantKind(t, outcomes[0], messages.OutcomeCallOver)
	wantKind(t, outcomes[1], messages.OutcomeDone)
	wantFree(t, s, u.ID, c.ID)
}

func batchClaimIsLast(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	first := start(t, s, u, c)
	end(t, s, first)
	claim := claimOf(u, c)
	next := messages.Call{ID: claim.Call, UserID: u.ID, ClientID: c.ID, Token: first.Token + 1}
	outcomes := commit(t, s, claim, renewalOf(next, 2*time.Hour, 0), releaseOf(next))
	wantKind(t, outcomes[0], messages.OutcomeDone)
	wantKind(t, outcomes[1], messages.OutcomeCallOver)
	wantKind(t, outcomes[2], messages.OutcomeCallOver)
	wantHeld(t, s, outcomes[0].Call)
}

// oneOf returns the index of the one outcome of that kind.
func oneOf(t *testing.T, outcomes []messages.Outcome, kind messages.OutcomeKind) int {
	t.Helper()
	found := -1
	for i, o := range outcomes {
		if o.Kind == kind {
			if found >= 0 {
				t.Fatalf("two outcomes are %s: %+v", outcomeName(kind), outcomes)
			}
			found = i
		}
	}
	if found < 0 {
		t.Fatalf("no outcome is %s: %+v", outcomeName(kind), outcomes)
	}
	return found
}

func batchTwoReleases(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	call := start(t, s, u, c)
	writes := []messages.Write{releaseOf(call), releaseOf(call)}
	writes[0].Log, writes[1].Log = logOf(u, c, "one"), logOf(u, c, "other")
	outcomes := commit(t, s, writes...)
	done, over := oneOf(t, outcomes, messages.OutcomeDone), oneOf(t, outcomes, messages.OutcomeCallOver)
	wantFree(t, s, u.ID, c.ID)
	// Nobody's notes are thrown away, and the call is named by the one that ended it.
	wantEqual(t, "logs", len(allLogs(t, s, c.ID)), 2)
	if id := outcomes[done].Log.CallID; id == nil || *id != call.ID {
		t.Fatalf("the log that ended the call names %v", id)
	}
	if id := outcomes[over].Log.CallID; id != nil {
		t.Fatalf("the log that ended nothing names %v", id)
	}
}

func batchTwoClaimsOfClient(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 3), addClient(t, s)
	outcomes := commit(t, s, claimOf(users[0], c), claimOf(users[1], c), claimOf(users[2], c))
	won := oneOf(t, outcomes, messages.OutcomeDone)
	for i, o := range outcomes {
		if i == won {
			continue
		}
		wantKind(t, o, messages.OutcomeClientHeld)
		wantEqual(t, "call", o.Call, outcomes[won].Call)
		wantEqual(t, "holder", o.Holder, outcomes[won].Holder)
	}
	wantHeld(t, s, outcomes[won].Call)
}

func batchTwoClaimsByUser(t *testing.T, s persistence.Store) {
	u, clients := addUser(t, s), addClients(t, s, 2)
	outcomes := commit(t, s, claimOf(u, clients[0]), claimOf(u, clients[1]), claimOf(u, clients[0]))
	won := oneOf(t, outcomes, messages.OutcomeDone)
	for i, o := range outcomes {
		if i == won {
			continue
		}
		wantKind(t, o, messages.OutcomeUserHeld)
		wantEqual(t, "call", o.Call, outcomes[won].Call)
	}
	wantHeld(t, s, outcomes[won].Call)
}

func batchSwap(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	a, b := start(t, s, users[0], clients[0]), start(t, s, users[1], clients[1])
	outcomes := commit(
		t, s, claimOf(users[0], clients[1]), releaseOf(a), claimOf(users[1], clients[0]), releaseOf(b),
	)
	for _, o := range outcomes {
		wantKind(t, o, messages.OutcomeDone)
	}
	wantHeld(t, s, outcomes[0].Call)
	wantHeld(t, s, outcomes[2].Call)
}

func batchRefusedAmongOthers(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 3), addClients(t, s, 2)
	held := start(t, s, users[0], clients[0])
	outcomes := commit(
		t, s,
		claimOf(users[1], clients[0]),
		claimOf(messages.User{ID: newUserID()}, clients[1]),
		claimOf(users[2], clients[1]),
		releaseOf(messages.Call{ID: newCallID(), UserID: users[1].ID, ClientID: clients[0].ID, Token: 1}),
		noteOf(users[1], logOf(users[1], messages.Client{ID: newClientID()}, "about nobody")),
	)
	for i, want := range []messages.OutcomeKind{
		messages.OutcomeClientHeld, messages.OutcomeNoUser, messages.OutcomeDone, messages.OutcomeCallOver, messages.OutcomeNoClient,
	} {
		wantKind(t, outcomes[i], want)
	}
	wantHeld(t, s, held)
	wantHeld(t, s, outcomes[2].Call)
}

func batchTokenGoesOn(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	call := start(t, s, users[0], c)
	for i := range 6 {
		outcomes := commit(t, s, claimOf(users[(i+1)%2], c), releaseOf(call))
		wantKind(t, outcomes[0], messages.OutcomeDone)
		wantKind(t, outcomes[1], messages.OutcomeDone)
		if outcomes[0].Call.Token <= call.Token {
			t.Fatalf("token %d after %d", outcomes[0].Call.Token, call.Token)
		}
		call = outcomes[0].Call
	}
}

func batchLarge(t *testing.T, s persistence.Store) {
	const n = 1000
	users, clients := addUsers(t, s, n), addClients(t, s, n)
	claims := make([]messages.Write, n)
	for i := range claims {
		claims[i] = withKey(claimOf(users[i], clients[i]), newKey("start"))
	}
	rand.Shuffle(n, func(i, j int) { claims[i], claims[j] = claims[j], claims[i] })
	releases := make([]messages.Write, n)
	for i, o := range commit(t, s, claims...) {
		wantKind(t, o, messages.OutcomeDone)
		releases[i] = releaseOf(o.Call)
	}
	for _, o := range commit(t, s, releases...) {
		wantKind(t, o, messages.OutcomeDone)
	}
}
