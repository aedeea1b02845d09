package postgres_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/jackc/pgx/v5"
)

const kept = 100 * 24 * time.Hour // so that a walk rests for a day

// insertCalls makes n calls of each of some clients that ended age ago, about seven
// to a page.
func insertCalls(t *testing.T, conn *pgx.Conn, clients, n int, age time.Duration) {
	t.Helper()
	_, err := conn.Exec(t.Context(), `
INSERT INTO calls (id, client_id, user_id, token, reason, notes, started_at, ended_at)
SELECT gen_random_uuid(), ('00000000-0000-4000-8000-' || lpad(to_hex(c), 12, '0'))::uuid, gen_random_uuid(),
       k + coalesce((SELECT max(token) FROM calls), 0), 'completed', repeat('x', 1000), now() - $3::interval, now() - $3::interval
FROM generate_series(1, $2::int) k, generate_series(1, $1::int) c`, clients, n, age)
	if err != nil {
		t.Fatal(err)
	}
}

// A walk removes what is old, wherever it lies in a table of more pages than one
// transaction reads, and rests for a hundredth of the age.
func TestHistoryOfManyPages(t *testing.T) {
	url := pgtest.URL(t)
	s, conn := open(t, url), connectTo(t, url)
	const clients, old = 100, 80
	insertCalls(t, conn, clients, old, 2*kept)
	insertCalls(t, conn, clients, 2, kept/2)
	walk := func() (removed, pieces int) {
		t.Helper()
		for {
			p, err := s.PruneHistory(t.Context(), kept, 1000)
			if err != nil || p.Calls > 1000 {
				t.Fatalf("%+v, %v", p, err)
			}
			removed += p.Calls
			if pieces++; !p.More {
				return removed, pieces
			}
		}
	}
	if removed, pieces := walk(); removed != clients*old || pieces < 9 {
		t.Errorf("%d of %d were removed, in %d pieces", removed, clients*old, pieces)
	}
	insertCalls(t, conn, clients, 1, 2*kept) // not really the newest: the walk looks at tokens alone
	if removed, pieces := walk(); removed != 0 || pieces != 1 {
		t.Errorf("%d were removed in %d pieces while the walk was to rest", removed, pieces)
	}
	if _, err := conn.Exec(t.Context(), `UPDATE retention SET walked_at = walked_at - interval '25 hours'`); err != nil {
		t.Fatal(err)
	}
	if removed, _ := walk(); removed != 0 {
		t.Errorf("%d young or newest calls were removed", removed)
	}
	var left int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM calls`).Scan(&left); err != nil || left != 3*clients {
		t.Errorf("%d calls are left (%v), want %d", left, err, 3*clients)
	}
}

// Where two servers share a database, one walks.
func TestHistoryIsWalkedByOne(t *testing.T) {
	url := pgtest.URL(t)
	s, conn := open(t, url), connectTo(t, url)
	insertCalls(t, conn, 1, 5, 2*kept)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM retention FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	prune := func(want persistence.Pruned) {
		t.Helper()
		if p, err := s.PruneHistory(t.Context(), kept, 100); err != nil || p != want {
			t.Errorf("removed %+v (%v), want %+v", p, err, want)
		}
	}
	prune(persistence.Pruned{})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	prune(persistence.Pruned{Calls: 4, Silenced: 1})
}

// The walk reads its pages and nothing else as a whole, whatever the planner knew
// of the tables when the plan was made.
func TestPlanOfPruning(t *testing.T) {
	ctx := t.Context()
	s := open(t, pgtest.URL(t))
	err := s.OnEngine(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, `VACUUM ANALYZE`); err != nil {
			return err
		}
		if _, err := conn.Prepare(ctx, "plan", postgres.PruneCalls); err != nil {
			return err
		}
		var raw []byte
		if err := conn.QueryRow(ctx, `EXPLAIN (FORMAT JSON) EXECUTE plan (0, 1024, interval '1 day', 1000)`, pgx.QueryExecModeSimpleProtocol).Scan(&raw); err != nil {
			return err
		}
		var plans []struct{ Plan node }
		if err := json.Unmarshal(raw, &plans); err != nil {
			return err
		}
		for _, kind := range scans(plans[0].Plan) {
			if strings.HasPrefix(kind, "calls ") && !strings.Contains(kind, "Tid") && !strings.Contains(kind, "Index") && !strings.Contains(kind, "ModifyTable") {
				t.Errorf("%s in\n%s", kind, raw)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func scans(n node) (all []string) {
	if n.Relation != "" {
		all = append(all, fmt.Sprintf("%s by %s", n.Relation, n.NodeType))
	}
	for _, p := range n.Plans {
		all = append(all, scans(p)...)
	}
	return all
}
