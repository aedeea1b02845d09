package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A server that was killed may have sent a write that the database has yet to
// carry out. Its successor waits for that, and does not read claims before.
func TestOccupyOutlivesThePredecessorsWrites(t *testing.T) {
	ctx := t.Context()
	url := pgtest.URL(t)
	first, second := open(t, url), open(t, url)
	if _, err := first.Occupy(ctx, false); err != nil {
		t.Fatal(err)
	}
	watch := connectTo(t, url)
	counts := func(sql string, n int) func() bool {
		return func() bool {
			var got int
			if err := watch.QueryRow(ctx, sql).Scan(&got); err != nil {
				t.Fatal(err)
			}
			return got == n
		}
	}

	// The database is held up in a write of the first server.
	obstacle, err := connectTo(t, url).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, obstacle, `LOCK TABLE claims IN ACCESS EXCLUSIVE MODE`)
	first.BreakAt(func(_ string, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `SET lock_timeout = '1min'`)
		return err
	})
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = first.Commit(ctx, []messages.Write{{ // nobody cares what becomes of it
			Kind: messages.WriteClaim, Call: newCall(), Lease: time.Hour,
			User: messages.UserID{UUID: uuid.New()}, Client: messages.ClientID{UUID: uuid.New()},
		}})
	}()
	eventually(t, "the write to be held up", counts(`
		SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'claims'::regclass`, 1))

	// The server's lock goes first when it dies, and its successor comes.
	mustExec(t, watch, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	in := make(chan error, 1)
	go func() {
		_, err := second.Occupy(ctx, false)
		in <- err
	}()
	eventually(t, "the second server to ask for the writers' lock", counts(`
		SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'
		AND query LIKE 'SELECT CASE WHEN pg_try_advisory_lock%'`, 1))
	select {
	case err := <-in:
		t.Fatalf("the second server is in (%v) while a write of the first one may still be carried out", err)
	default:
	}

	if err := obstacle.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	<-written
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := <-in; err != nil {
		t.Error(err)
	}
}

func connectTo(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func mustExec(t *testing.T, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, sql string,
) {
	t.Helper()
	rows, err := db.Query(t.Context(), sql)
	if err == nil {
		rows.Close()
		err = rows.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}
