package chaos

import (
	"context"
	"database/sql"
	"encoding/json"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// row is a call as the store has it: in progress, or over for a reason.
type row struct {
	id     messages.CallID
	user   messages.UserID
	client messages.ClientID
	token  int64
	reason messages.EndReason // empty: in progress
}

// snapshot is what the store has at one moment.
type snapshot struct {
	read    time.Duration // since the clock began: before it was read
	done    time.Duration // and after
	running []row
	over    []row
	// answers are the calls that idempotency keys stand for; a key that was
	// refused stands for none.
	answers map[string]messages.CallID
}

// snapshot reads the store in one transaction.
func (d *deployment) snapshot() snapshot {
	d.t.Helper()
	ctx := d.t.Context()
	s := snapshot{read: d.book.now(), answers: map[string]messages.CallID{}}
	tx, err := d.db.BeginTx(ctx, &sql.TxOptions{Isolation: d.isolation(), ReadOnly: d.onPostgres()})
	must(d.t, err)
	defer func() { _ = tx.Rollback() }()
	s.running = rowsOf(ctx, d.t, tx, "SELECT call_id, user_id, client_id, token, '' FROM claims")
	s.over = rowsOf(ctx, d.t, tx, "SELECT id, user_id, client_id, token, reason FROM calls")
	column := "value"
	if d.onPostgres() {
		column = "key"
	}
	rows, err := tx.QueryContext(ctx, "SELECT "+column+", answer FROM idempotency_keys WHERE answer IS NOT NULL")
	must(d.t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key string
		var raw []byte
		must(d.t, rows.Scan(&key, &raw))
		var answer messages.Answer
		must(d.t, json.Unmarshal(raw, &answer))
		if answer.Code == messages.OK && answer.Call != nil {
			s.answers[key] = answer.Call.ID
		}
	}
	must(d.t, rows.Err())
	s.done = d.book.now()
	return s
}

func (d *deployment) onPostgres() bool { return d.direct.Store.DatabaseURL != "" }

func (d *deployment) isolation() sql.IsolationLevel {
	if d.onPostgres() {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault // SQLite's transactions read one moment anyway
}

func rowsOf(ctx context.Context, t testing.TB, tx *sql.Tx, query string) (all []row) {
	t.Helper()
	rows, err := tx.QueryContext(ctx, query)
	must(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r row
		must(t, rows.Scan(&r.id.UUID, &r.user.UUID, &r.client.UUID, &r.token, &r.reason))
		all = append(all, r)
	}
	must(t, rows.Err())
	return all
}

// count asks the store for a number.
func (d *deployment) count(query string) int {
	d.t.Helper()
	var n int
	must(d.t, d.db.QueryRowContext(d.t.Context(), query).Scan(&n))
	return n
}

// publishes waits until nothing waits to be published; false: not in time.
func (d *deployment) publishes(limit time.Duration) bool {
	d.t.Helper()
	return d.within(limit, func() bool { return d.count("SELECT count(*) FROM outbox") == 0 })
}

// within waits until something holds; false: not in time.
func (d *deployment) within(limit time.Duration, holds func() bool) bool {
	for end := time.Now().Add(limit); ; {
		if holds() {
			return true
		}
		if time.Now().After(end) || !pause(d.t.Context(), 20*time.Millisecond) {
			return false
		}
	}
}
