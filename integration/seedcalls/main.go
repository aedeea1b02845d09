// Command seedcalls puts every user whose e-mail address begins with "seed" on
// a call with one of the clients whose name begins with "Seed": it fills the
// table of calls in progress as a fleet would have, in seconds.
//
// It is a program of its own, and not part of the test that needs it, because
// the embedded database is some forty times slower under the race detector.
//
//	seedcalls sqlite file:dibs.db
//	seedcalls pgx postgres://…
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

const pairs = `
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM accounts WHERE email LIKE 'seed%') u
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM clients WHERE name LIKE 'Seed %') c ON c.n = u.n`

const onPostgres = `
INSERT INTO claims (user_id, client_id, call_id, started_at, lease_expires_at, lease, token)
SELECT u.id, c.id, gen_random_uuid(), now(), now() + interval '2 hours', interval '2 hours', 1` + pairs

const onSQLite = `
INSERT INTO claims (user_id, client_id, call_id, started_at, lease_expires_at, lease, token)
SELECT u.id, c.id, printf('30000000-0000-4000-8000-%012x', u.n), unixepoch() * 1000000,
	(unixepoch() + 7200) * 1000000, 7200 * 1000000, 1` + pairs

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: seedcalls sqlite|pgx <address>")
		os.Exit(2)
	}
	made, err := seed(context.Background(), os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "seedcalls:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, made)
}

// seed returns how many calls it made.
func seed(ctx context.Context, driver, address string) (made int64, err error) {
	db, err := sql.Open(driver, address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	statement := onPostgres
	if driver == "sqlite" {
		statement = onSQLite
	}
	result, err := db.ExecContext(ctx, statement)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
