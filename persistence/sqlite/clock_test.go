package sqlite

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// newStoreAt returns a store whose clock is set by hand.
func newStoreAt(t *testing.T) (*Store, func(time.Duration)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dibs.db")
	if _, err := Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	var passed atomic.Int64
	began := time.Date(2030, 1, 2, 3, 4, 5, 678_900, time.UTC)
	s := openConfig(t, Config{Path: path, Now: func() time.Time { return began.Add(time.Duration(passed.Load())) }})
	return s, func(d time.Duration) { passed.Add(int64(d)) }
}

// TestKeysLastADay: I8 holds for 24 hours; then the key is as good as new, and
// Prune forgets it.
func TestKeysLastADay(t *testing.T) {
	s, pass := newStoreAt(t)
	users, clients := cast(t, s, 1)
	key := messages.Key{Caller: "user:1", Value: "k", Digest: [32]byte{1}}
	note := messages.Write{Kind: messages.WriteNote, User: users[0], Client: clients[0], Key: &key}
	commit := func(want messages.OutcomeKind) {
		t.Helper()
		got, err := s.Commit(t.Context(), []messages.Write{note})
		if err != nil || got[0].Kind != want {
			t.Fatalf("outcome %+v (%v), want kind %d", got, err, want)
		}
	}
	prune := func(want int) {
		t.Helper()
		if n, err := s.Prune(t.Context(), 10); err != nil || n != want {
			t.Fatalf("pruned %d (%v), want %d", n, err, want)
		}
	}
	commit(messages.OutcomeDone)
	pass(24*time.Hour - time.Microsecond)
	prune(0)
	commit(messages.OutcomeReplayed)
	pass(time.Microsecond)
	key.Digest[0] = 2
	commit(messages.OutcomeDone)
	commit(messages.OutcomeReplayed)
	pass(24 * time.Hour)
	prune(1)
	prune(0)
}

// TestLeaseByTheStoresClock: a lease ends to the microsecond.
func TestLeaseByTheStoresClock(t *testing.T) {
	s, pass := newStoreAt(t)
	users, clients := cast(t, s, 1)
	expiry := releaseOf(start(t, s, users[0], clients[0]))
	expiry.Reason = messages.ReasonExpired
	commit := func(want messages.OutcomeKind) {
		t.Helper()
		got, err := s.Commit(t.Context(), []messages.Write{expiry})
		if err != nil || got[0].Kind != want {
			t.Fatalf("outcome %+v (%v), want kind %d", got, err, want)
		}
	}
	pass(time.Hour - time.Microsecond)
	commit(messages.OutcomeNotExpired)
	pass(time.Microsecond)
	commit(messages.OutcomeDone)
}
