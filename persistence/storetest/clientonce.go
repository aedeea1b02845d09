package storetest

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func clientOncePromises() []promise {
	return []promise{
		{"I8: a client made again with its key is the first one", clientOnce},
		{"I8: the first answer comes again when the client has changed or is gone", clientOnceChanged},
		{"I8: a key that was used otherwise makes no client", clientOnceReused},
		{"I8: one key from many goroutines makes one client", clientOnceConcurrent},
		{"A client that cannot be kept leaves its key free", clientOnceRefused},
	}
}

// sameClient compares clients as the wire would show them.
func sameClient(t *testing.T, what string, got, want messages.Client) {
	t.Helper()
	gotJSON, err := json.Marshal(got)
	noError(t, err)
	wantJSON, err := json.Marshal(want)
	noError(t, err)
	wantEqual(t, what, string(gotJSON), string(wantJSON))
}

func clientsIn(t *testing.T, s persistence.Store) int {
	t.Helper()
	_, total, err := s.ListClients(t.Context(), messages.ClientQuery{Page: 1, Limit: 1})
	noError(t, err)
	return total
}

func clientOnce(t *testing.T, s persistence.Store) {
	key := newKey("client")
	first := newClient(odd)
	first.ID, first.Attributes = messages.ClientID{}, json.RawMessage(`{"a": [1, "ü"]}`)
	again := first
	noError(t, s.AddClientOnce(t.Context(), &first, *key))
	if first.ID.IsZero() || !storedTime(first.CreatedAt) || first.UpdatedAt != first.CreatedAt {
		t.Fatalf("made %+v", first)
	}
	kept, err := s.ClientByID(t.Context(), first.ID)
	noError(t, err)
	sameClient(t, "kept", kept, first)
	noError(t, s.AddClientOnce(t.Context(), &again, *key))
	sameClient(t, "made again", again, first)
	another := newClient("another caller")
	other := *key
	other.Caller += "'s friend"
	noError(t, s.AddClientOnce(t.Context(), &another, other))
	wantEqual(t, "clients", clientsIn(t, s), 2)
}

func clientOnceChanged(t *testing.T, s persistence.Store) {
	key := newKey("client")
	first := newClient("First")
	again, later := first, first
	noError(t, s.AddClientOnce(t.Context(), &first, *key))
	name := "Changed"
	_, err := s.UpdateClients(t.Context(), []messages.ClientPatch{{ID: first.ID, Name: &name}})
	noError(t, err)
	noError(t, s.AddClientOnce(t.Context(), &again, *key))
	sameClient(t, "after a change", again, first)
	noError(t, s.DeleteClient(t.Context(), first.ID, messages.Audit{By: "test", Action: "client.deleted", Subject: "client:" + first.ID.String()}))
	noError(t, s.AddClientOnce(t.Context(), &later, *key))
	sameClient(t, "after its deletion", later, first)
	wantEqual(t, "clients", clientsIn(t, s), 0)
}

func clientOnceReused(t *testing.T, s persistence.Store) {
	key := newKey("client")
	c := newClient("First")
	noError(t, s.AddClientOnce(t.Context(), &c, *key))
	other := *key
	other.Digest[0]++
	second := newClient("Second")
	wantCode(t, s.AddClientOnce(t.Context(), &second, other), messages.CodeKeyReused)

	u, called := addUser(t, s), addClient(t, s)
	start := newKey("start")
	commit(t, s, withKey(claimOf(u, called), start))
	wantCode(t, s.AddClientOnce(t.Context(), &second, *start), messages.CodeKeyReused)
	wantKind(t, commitOne(t, s, withKey(claimOf(addUser(t, s), addClient(t, s)), &other)), messages.OutcomeKeyReused)
	wantEqual(t, "clients", clientsIn(t, s), 3)
}

func clientOnceConcurrent(t *testing.T, s persistence.Store) {
	const n = 16
	key := newKey("client")
	var mu sync.Mutex
	made := map[messages.ClientID]bool{}
	atOnce(n, func(int) {
		c := newClient("Same")
		c.ID = messages.ClientID{}
		if err := s.AddClientOnce(t.Context(), &c, *key); err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		made[c.ID] = true
	})
	wantEqual(t, "different answers", len(made), 1)
	wantEqual(t, "clients", clientsIn(t, s), 1)
}

func clientOnceRefused(t *testing.T, s persistence.Store) {
	key := newKey("client")
	bad, good := newClient("\x00"), newClient("Good")
	wantCode(t, s.AddClientOnce(t.Context(), &bad, *key), messages.CodeBadRequest)
	noError(t, s.AddClientOnce(t.Context(), &good, *key))
	wantEqual(t, "clients", clientsIn(t, s), 1)
}
