package postgres_test

import (
	"context"
	neturl "net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A machine is suspended, and its server wakes up with what it remembered: it does not trust
// it before it has seen that it is still alone. Servers that share read before they answer.
func TestSuspendedServerTrustsItsMemoryWhenItHasSeenItsPlace(t *testing.T) {
	var asleep atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(asleep.Load())) }
	openBy := func() *postgres.Store {
		s, err := postgres.Open(t.Context(), postgres.Config{URL: pgtest.URL(t), Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	alone, sharing := openBy(), openBy()
	for _, s := range []*postgres.Store{alone, sharing} {
		if _, err := s.Occupy(t.Context(), s == sharing); err != nil {
			t.Fatal(err)
		}
		if !s.Trusted() {
			t.Error("a server that came in does not trust itself")
		}
	}
	eventually(t, "who is alone to doubt, unless it has just looked", func() bool {
		asleep.Add(int64(time.Hour))
		return !alone.Trusted()
	})
	if !sharing.Trusted() {
		t.Error("who shares reads before it answers, and need not doubt")
	}
	eventually(t, "the server to see that it has its place", alone.Trusted)
	if !alone.Alone() {
		t.Error("it has lost its place")
	}
}

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

// endSessions ends the sessions of a store on the database, all or those that hold
// a place, and waits until they are gone.
func endSessions(t *testing.T, watch *pgx.Conn, where string) {
	t.Helper()
	mustExec(t, watch, `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a
		WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.application_name IN ('dibs', 'first') AND (`+where+`)`)
}

const holdsPlace = `EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.mode = 'ExclusiveLock' AND l.granted)`

func claimBy(s *postgres.Store, u messages.UserID, c messages.ClientID) func() error {
	return func() error {
		_, err := s.Commit(context.Background(), []messages.Write{{Kind: messages.WriteClaim, Call: newCall(), Lease: time.Hour, User: u, Client: c}})
		return err
	}
}

// A server that loses its connections, and finds another one in its place when it
// has new ones, writes nothing more and is told so.
func TestCutOffServerWritesNothing(t *testing.T) {
	url := pgtest.URL(t)
	b := newBench(t, url, nil)
	named, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	query := named.Query()
	query.Set("application_name", "first")
	named.RawQuery = query.Encode()
	first, second := open(t, named.String()), open(t, url)
	lost, err := first.Occupy(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	users, clients := b.people(t, 2), b.clients(t, 2)
	if err := claimBy(first, users[0], clients[0])(); err != nil {
		t.Fatal(err)
	}
	in := make(chan error, 1)
	go func() { _, err := second.Occupy(t.Context(), false); in <- err }()
	var entered bool
	eventually(t, "the second server to get in", func() bool { // it races with the first, which wants its place back
		endSessions(t, b.direct, `application_name = 'first'`)
		select {
		case err := <-in:
			if err != nil {
				t.Fatal(err)
			}
			entered = true
		default:
		}
		return entered
	})
	for range 20 {
		if err := claimBy(first, users[1], clients[1])(); err == nil {
			t.Fatal("the first server writes beside the second")
		}
	}
	if err := <-lost; err == nil {
		t.Error("the first server was told nothing")
	}
	eventually(t, "the second server to write", func() bool { return claimBy(second, users[1], clients[1])() == nil })
}

// A server that loses its place for a moment takes it back and goes on, unless
// somebody else had it meanwhile.
func TestPlaceIsTakenBack(t *testing.T) {
	url := pgtest.URL(t)
	b := newBench(t, url, nil)
	s := open(t, url)
	lost, err := s.Occupy(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	users, clients := b.people(t, 3), b.clients(t, 3)
	for i, where := range []string{holdsPlace, `true`} {
		if err := claimBy(s, users[i], clients[i])(); err != nil {
			t.Fatal(err)
		}
		endSessions(t, b.direct, where)
		eventually(t, "writes to go on", func() bool {
			return claimBy(s, users[i], clients[i])() == nil && s.Alone()
		})
		select {
		case err := <-lost:
			t.Fatalf("nobody else was there: %v", err)
		default:
		}
	}
	mustExec(t, b.direct, `UPDATE occupation SET epoch = epoch + 1`) // as a server does that comes in
	endSessions(t, b.direct, `true`)
	_ = claimBy(s, users[2], clients[2])() // finds that the connections are gone
	if err := <-lost; err == nil {
		t.Error("somebody else was there, and nothing is said")
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
