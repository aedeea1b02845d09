package sqlite

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

const kept = 100 * 24 * time.Hour // so that a walk rests for a day

func pruneHistory(t *testing.T, s *Store, want persistence.Pruned) {
	t.Helper()
	if p, err := s.PruneHistory(t.Context(), kept, 1000); err != nil || p != want {
		t.Fatalf("removed %+v (%v), want %+v", p, err, want)
	}
}

func callOnce(t *testing.T, s *Store, u messages.UserID, c messages.ClientID) {
	t.Helper()
	release := releaseOf(start(t, s, u, c))
	if got, err := s.Commit(t.Context(), []messages.Write{release}); err != nil || got[0].Kind != messages.OutcomeDone {
		t.Fatalf("the release is %+v (%v)", got, err)
	}
}

// TestHistoryByTheStoresClock: calls are kept to the microsecond, and a walk rests.
func TestHistoryByTheStoresClock(t *testing.T) {
	s, pass := newStoreAt(t)
	users, clients := cast(t, s, 1)
	pruneHistory(t, s, persistence.Pruned{})
	for range 3 {
		callOnce(t, s, users[0], clients[0])
	}
	pass(kept - time.Microsecond)
	pruneHistory(t, s, persistence.Pruned{}) // a walk
	pass(time.Microsecond)
	pruneHistory(t, s, persistence.Pruned{}) // it rests
	pass(24*time.Hour - 2*time.Microsecond)
	pruneHistory(t, s, persistence.Pruned{})
	pass(time.Microsecond)
	pruneHistory(t, s, persistence.Pruned{Calls: 2})
	pruneHistory(t, s, persistence.Pruned{})
}

// TestHistoryBehindWrongClocks: calls that ended in the future do not keep those
// behind them, and a walk is over where all are young.
func TestHistoryBehindWrongClocks(t *testing.T) {
	const piece = 20
	s, pass := newStoreAt(t)
	s.walkRows = piece
	insert := func(n int, age time.Duration) {
		t.Helper()
		err := s.write(t.Context(), func(x *tx) error {
			_, err := x.exec(`
				with recursive n (i) as (select 1 union all select i + 1 from n where i < ?1)
				insert into calls (id, client_id, user_id, token, started_at, ended_at, reason, disposition, notes)
				select hex(randomblob(16)), 'c', 'u', i + (select count(*) from calls), 0, ?2, 'completed', '', '' from n`,
				n, x.now-age.Microseconds())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	walk := func() (removed, pieces int) {
		t.Helper()
		for {
			p, err := s.PruneHistory(t.Context(), kept, 1000)
			if err != nil {
				t.Fatal(err)
			}
			removed += p.Calls
			if pieces++; !p.More {
				pass(24 * time.Hour)
				return removed, pieces
			}
		}
	}
	insert(piece+1, -10*kept) // in the future
	insert(2*piece, 2*kept)
	insert(5*piece, kept/2)
	removed, pieces := walk()
	if removed != 2*piece {
		t.Errorf("%d of %d old calls were removed", removed, 2*piece)
	}
	if pieces > 8 { // two in the future, four for the old ones, one of the young
		t.Errorf("the walk went on for %d pieces, to where all are young", pieces)
	}
	if removed, _ := walk(); removed > 0 {
		t.Errorf("%d young calls were removed", removed)
	}
	pass(kept / 2)
	if removed, _ := walk(); removed != 5*piece-1 {
		t.Errorf("%d were removed when only the newest was to stay of %d", removed, 5*piece)
	}
}
