package postgres

import (
	"context"
	"encoding/json"

	"github.com/dibs-calls/dibs/messages"
	"github.com/jackc/pgx/v5"
)

// AuditTrail implements [persistence.Upkeep].
func (s *Store) AuditTrail(ctx context.Context, limit int) ([]messages.Audit, error) {
	rows, err := s.lists.Query(ctx, `SELECT at, by, action, subject, detail::text FROM audit ORDER BY id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var (
		all    []messages.Audit
		a      messages.Audit
		detail *string
	)
	_, err = pgx.ForEachRow(rows, []any{&a.At, &a.By, &a.Action, &a.Subject, &detail}, func() error {
		entry := a
		entry.At = a.At.UTC()
		if detail != nil {
			entry.Detail = json.RawMessage(*detail)
		}
		all = append(all, entry)
		return nil
	})
	return all, wrap(s.broken(err))
}

const pruneKeys = `
DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM idempotency_keys WHERE created_at <= statement_timestamp() - interval '24 hours'
    ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED))`

const pruneSessions = `
DELETE FROM sessions WHERE digest = ANY (ARRAY (
    SELECT digest FROM sessions WHERE expires_at <= statement_timestamp() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))`

// Prune implements [persistence.Upkeep]. Rows that a transaction is using are
// left for the next time.
func (s *Store) Prune(ctx context.Context, limit int) (int, error) {
	removed := 0
	err := s.run(ctx, func(ctx context.Context, x *tx) error {
		removed = 0
		for _, sql := range []string{pruneKeys, pruneSessions} {
			rows, err := x.exec(ctx, sql, limit)
			if err != nil {
				return err
			}
			removed += int(rows)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}
