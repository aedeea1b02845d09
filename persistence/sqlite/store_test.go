package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/storetest"
	"github.com/google/uuid"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) persistence.Store { return newStore(t) })
	storetest.RunReopen(t, func(t *testing.T) (persistence.Store, func() persistence.Store) {
		s := newStore(t)
		path := s.path(t)
		return s, func() persistence.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return openStore(t, path)
		}
	})
}

// newStore returns a store on a new file.
func newStore(t testing.TB) *Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dibs #1?.db")
	if _, err := Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return openStore(t, path)
}

// openStore opens a file another time.
func openStore(t testing.TB, path string) *Store {
	t.Helper()
	return openConfig(t, Config{Path: path})
}

func openConfig(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// path is the file that the store is in.
func (s *Store) path(t testing.TB) string {
	t.Helper()
	var path string
	if _, err := s.row(t.Context(), `select file from pragma_database_list where name = 'main'`, nil, &path); err != nil {
		t.Fatal(err)
	}
	return path
}

// cast makes n users and n clients.
func cast(t testing.TB, s *Store, n int) ([]messages.UserID, []messages.ClientID) {
	t.Helper()
	people, clients := make([]messages.NewUser, n), make([]messages.Client, n)
	for i := range n {
		people[i].Email = uuid.NewString() + "@example.com"
		clients[i].Name = uuid.NewString()
	}
	users, err := s.AddUsers(t.Context(), people)
	if err == nil {
		err = s.AddClients(t.Context(), clients)
	}
	if err != nil {
		t.Fatal(err)
	}
	userIDs, clientIDs := make([]messages.UserID, n), make([]messages.ClientID, n)
	for i := range n {
		userIDs[i], clientIDs[i] = users[i].ID, clients[i].ID
	}
	return userIDs, clientIDs
}

func claimOf(u messages.UserID, c messages.ClientID) messages.Write {
	return messages.Write{Kind: messages.WriteClaim, User: u, Client: c, Call: messages.CallID{UUID: uuid.New()}, Lease: time.Hour}
}

func releaseOf(c messages.Call) messages.Write {
	return messages.Write{
		Kind: messages.WriteRelease, User: c.UserID, Client: c.ClientID, Call: c.ID, Token: c.Token,
		Reason: messages.ReasonCompleted,
	}
}

// start commits a claim that must be done.
func start(t testing.TB, s *Store, u messages.UserID, c messages.ClientID) messages.Call {
	t.Helper()
	got, err := s.Commit(context.Background(), []messages.Write{claimOf(u, c)})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Kind != messages.OutcomeDone {
		t.Fatalf("the claim is %+v", got[0])
	}
	return got[0].Call
}

func heldCalls(t testing.TB, s *Store) map[messages.CallID]messages.HeldClaim {
	t.Helper()
	claims, err := s.claims(t.Context(), `true`)
	if err != nil {
		t.Fatal(err)
	}
	held := make(map[messages.CallID]messages.HeldClaim, len(claims))
	for _, h := range claims {
		held[h.ID] = h
	}
	return held
}
