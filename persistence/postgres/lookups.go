package postgres

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const usersByEmail = `
SELECT b.email, a.id FROM unnest($1::text[]) AS b (email) JOIN accounts a ON lower(a.email) = lower(b.email)`

// UsersByEmail implements [persistence.Reports].
func (s *Store) UsersByEmail(ctx context.Context, emails []string) (map[string]messages.UserID, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	rows, err := s.engine.Query(ctx, usersByEmail, emails)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	found := make(map[string]messages.UserID, len(emails))
	var email string
	var id messages.UserID
	_, err = pgx.ForEachRow(rows, []any{&email, raw(&id.UUID)}, func() error {
		found[email] = id
		return nil
	})
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	return found, nil
}

// clientsByPhone looks no further than the second client of a number: some
// numbers (a switchboard, what people type where a form asks for one) have
// thousands.
const clientsByPhone = `
SELECT b.ord, coalesce(m.n, 0), m.id, h.client_id
FROM unnest($1::int[], $2::uuid[], $3::text[]) AS b (ord, user_id, phone)
LEFT JOIN LATERAL (
    SELECT count(*) AS n, min(two.id::text)::uuid AS id
    FROM (SELECT k.id FROM clients k WHERE k.phone = b.phone LIMIT 2) two
) m ON true
LEFT JOIN LATERAL (
    SELECT c.client_id FROM claims c JOIN clients k ON k.id = c.client_id
    WHERE c.user_id = b.user_id AND k.phone = b.phone
) h ON true`

// ClientsByPhone implements [persistence.Reports].
func (s *Store) ClientsByPhone(ctx context.Context, queries []messages.PhoneQuery) ([]messages.PhoneMatch, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	ords, users, phones := make([]int32, len(queries)), make(uuids, len(queries)), make([]string, len(queries))
	for i, q := range queries {
		ords[i], users[i], phones[i] = int32(i), pgUUID(q.User.UUID), q.Phone
	}
	rows, err := s.engine.Query(ctx, clientsByPhone, ords, users, phones)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	matches := make([]messages.PhoneMatch, len(queries))
	var i int32
	var n int
	var one, called pgtype.UUID
	_, err = pgx.ForEachRow(rows, []any{&i, &n, &one, &called}, func() error {
		m := messages.PhoneMatch{Clients: n}
		switch {
		case called.Valid:
			m.Client.UUID = called.Bytes
		case n == 1:
			m.Client.UUID = one.Bytes
		}
		matches[i] = m
		return nil
	})
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	return matches, nil
}

const (
	pruneReportedEvents = `
DELETE FROM reported_events WHERE event = ANY (ARRAY (
    SELECT event FROM reported_events WHERE at <= statement_timestamp() - $1::interval ORDER BY at LIMIT $2))`
	pruneReportedCalls = `
DELETE FROM reported_calls WHERE call_id = ANY (ARRAY (
    SELECT call_id FROM reported_calls WHERE at <= statement_timestamp() - $1::interval ORDER BY at LIMIT $2))`
)

// PruneReports implements [persistence.Reports].
func (s *Store) PruneReports(ctx context.Context, age time.Duration, limit int) (int, error) {
	removed := 0
	err := s.run(ctx, func(ctx context.Context, x *tx) error {
		removed = 0
		for _, sql := range []string{pruneReportedEvents, pruneReportedCalls} {
			rows, err := x.exec(ctx, sql, age, limit)
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
