package sqlite

import (
	"context"
	"database/sql"

	"github.com/dibs-calls/dibs/messages"
)

// Ping implements [persistence.Upkeep]: it asks for the lock to write, and
// writes.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, func(*tx) error { return nil })
}

// AuditTrail implements [persistence.Upkeep].
func (s *Store) AuditTrail(ctx context.Context, limit int) ([]messages.Audit, error) {
	var trail []messages.Audit
	err := s.query(ctx, `select at, "by", action, subject, detail from audit order by seq desc limit ?1`, []any{limit},
		func(rows *sql.Rows) error {
			var a messages.Audit
			var at int64
			var detail *string
			err := rows.Scan(&at, &a.By, &a.Action, &a.Subject, &detail)
			a.At = timeOf(at)
			if detail != nil {
				a.Detail = []byte(*detail)
			}
			trail = append(trail, a)
			return err
		})
	return trail, err
}

// Prune implements [persistence.Upkeep]. It also forgets the marks of processes
// that ended long ago.
func (s *Store) Prune(ctx context.Context, limit int) (int, error) {
	var removed int64
	err := s.write(ctx, func(x *tx) error {
		old := x.now - keptFor.Microseconds()
		keys, err := x.exec(`
			delete from idempotency_keys where (caller, value) in (
				select caller, value from idempotency_keys where created_at <= ?1 limit ?2)`, old, limit)
		if err != nil {
			return err
		}
		sessions, err := x.exec(`
			delete from sessions where digest in (
				select digest from sessions where expires_at <= ?1 limit ?2)`, x.now, limit)
		if err != nil {
			return err
		}
		removed = keys + sessions
		_, err = x.exec(`delete from writers where at <= ?1 and id <> ?2`, old, x.id)
		return err
	})
	return int(removed), err
}
