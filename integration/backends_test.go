package integration

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// onEachStore runs a test on SQLite and on Postgres, each empty.
func onEachStore(t *testing.T, test func(t *testing.T, d harness.Dibs)) {
	t.Run("sqlite", func(t *testing.T) { test(t, onSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, onPostgres(t)) })
}

func onSQLite(t testing.TB) harness.Dibs {
	return harness.Dibs{Binary: tools.dibs, Store: harness.Store{DataDir: t.TempDir()}}
}

func onPostgres(t testing.TB) harness.Dibs {
	return harness.Dibs{Binary: tools.dibs, Store: harness.Store{DataDir: t.TempDir(), DatabaseURL: pgtest.EmptyURL(t)}}
}

// storeAddress is where a server keeps everything, as database/sql names it.
func storeAddress(t testing.TB, s harness.Store) (driver, address string) {
	t.Helper()
	if s.DatabaseURL != "" {
		return "pgx", s.DatabaseURL
	}
	files, err := filepath.Glob(filepath.Join(s.DataDir, "*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("database files in the data folder: %v, %v; want one", files, err)
	}
	return "sqlite", "file:" + files[0] + "?_pragma=busy_timeout(10000)"
}

// openStore opens what a server keeps, beside it. What the tests find there is
// what is on stable storage, whatever the server says.
func openStore(t testing.TB, s harness.Store) *sql.DB {
	t.Helper()
	db, err := sql.Open(storeAddress(t, s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// claim is a call in progress as the store has it.
type claim struct {
	user   messages.UserID
	client messages.ClientID
	call   messages.CallID
	token  int64
}

// claimsIn reads all calls in progress, by user. Two of one client break I1 and
// fail the test; that two of one user cannot be told apart in the map is why
// they are counted.
func claimsIn(t *testing.T, db *sql.DB) map[messages.UserID]claim {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT user_id, client_id, call_id, token FROM claims")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	claims := map[messages.UserID]claim{}
	callers := map[messages.ClientID]messages.UserID{}
	for rows.Next() {
		var user, client, call uuid.UUID
		var c claim
		if err := rows.Scan(&user, &client, &call, &c.token); err != nil {
			t.Fatal(err)
		}
		c.user, c.client, c.call = messages.UserID{UUID: user}, messages.ClientID{UUID: client}, messages.CallID{UUID: call}
		if _, twice := claims[c.user]; twice {
			t.Errorf("I2 is broken: user %s is in two calls", c.user)
		}
		if other, twice := callers[c.client]; twice {
			t.Errorf("I1 is broken: client %s is called by %s and %s", c.client, other, c.user)
		}
		claims[c.user], callers[c.client] = c, c.user
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return claims
}

// finishedIn reads how often each call stands in the history, and checks that
// none of them is still in progress.
func finishedIn(t *testing.T, db *sql.DB) map[messages.CallID]int {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT id FROM calls")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	finished := map[messages.CallID]int{}
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		finished[messages.CallID{UUID: id}]++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return finished
}
