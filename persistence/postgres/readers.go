package postgres

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const heldClaims = `
SELECT ` + callColumnsOfC + `, c.lease, coalesce(a.first_name, ''), coalesce(a.last_name, ''), coalesce(a.email, '')
FROM claims c LEFT JOIN LATERAL (SELECT first_name, last_name, email FROM accounts WHERE id = c.user_id OFFSET 0) a ON true
`

func eachHeld(rows pgx.Rows, f func(messages.HeldClaim)) error {
	var (
		h                  messages.HeldClaim
		first, last, email string
	)
	targets := append(callTargets(&h.Call), &h.Lease, &first, &last, &email)
	_, err := pgx.ForEachRow(rows, targets, func() error {
		held := h
		held.Call, held.Name = inUTC(h.Call), messages.DisplayName(first, last, email)
		f(held)
		return nil
	})
	return err
}

// held reads claims, after every transaction that could still change them
// unseen is over.
func (s *Store) held(ctx context.Context, where string, args ...any) ([]messages.HeldClaim, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	if err := s.settled(ctx); err != nil {
		return nil, err
	}
	rows, err := s.engine.Query(ctx, heldClaims+where, args...)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var found []messages.HeldClaim
	err = eachHeld(rows, func(h messages.HeldClaim) { found = append(found, h) })
	return found, wrap(s.broken(err))
}

// ClaimsOfUsers implements [persistence.ClaimReader].
func (s *Store) ClaimsOfUsers(ctx context.Context, users []messages.UserID) ([]messages.HeldClaim, error) {
	return s.held(ctx, `WHERE c.user_id = ANY ($1)`, uuidsOf(users, userUUID))
}

// ClaimsOfClients implements [persistence.ClaimReader].
func (s *Store) ClaimsOfClients(ctx context.Context, clients []messages.ClientID) ([]messages.HeldClaim, error) {
	return s.held(ctx, `WHERE c.client_id = ANY ($1)`, uuidsOf(clients, clientUUID))
}

// Expired implements [persistence.ClaimReader].
func (s *Store) Expired(ctx context.Context, limit int) ([]messages.HeldClaim, error) {
	return s.held(ctx, `WHERE c.lease_expires_at <= statement_timestamp() ORDER BY c.lease_expires_at LIMIT $1`, limit)
}

// StartedBefore implements [persistence.ClaimReader]. It reads all calls in
// progress: it is for a clean-up by hand, and not worth an index that every
// start would pay for.
func (s *Store) StartedBefore(ctx context.Context, age time.Duration, limit int) ([]messages.HeldClaim, error) {
	return s.held(ctx, `WHERE c.started_at < statement_timestamp() - $1::interval ORDER BY c.started_at LIMIT $2`, age, limit)
}

// EndedCalls implements [persistence.ClaimReader].
func (s *Store) EndedCalls(ctx context.Context, calls []messages.CallID) ([]messages.Call, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	if err := s.settled(ctx); err != nil {
		return nil, err
	}
	ids := uuidsOf(calls, func(c messages.CallID) uuid.UUID { return c.UUID })
	rows, err := s.engine.Query(ctx, `SELECT id, client_id, user_id, token, started_at FROM calls WHERE id = ANY ($1)`, ids)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var found []messages.Call
	var c messages.Call
	targets := []any{raw(&c.ID.UUID), raw(&c.ClientID.UUID), raw(&c.UserID.UUID), &c.Token, &c.StartedAt}
	_, err = pgx.ForEachRow(rows, targets, func() error {
		ended := c
		ended.StartedAt = c.StartedAt.UTC()
		found = append(found, ended)
		return nil
	})
	return found, wrap(s.broken(err))
}

// ExistingClients implements [persistence.ClaimReader].
func (s *Store) ExistingClients(ctx context.Context, clients []messages.ClientID) ([]messages.ClientID, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	if err := s.settled(ctx); err != nil {
		return nil, err
	}
	rows, err := s.engine.Query(ctx, `SELECT id FROM clients WHERE id = ANY ($1)`, uuidsOf(clients, clientUUID))
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var found []messages.ClientID
	var id messages.ClientID
	_, err = pgx.ForEachRow(rows, []any{raw(&id.UUID)}, func() error {
		found = append(found, id)
		return nil
	})
	return found, wrap(s.broken(err))
}

func nullableCall(id *messages.CallID) pgtype.UUID {
	if id == nil {
		return pgtype.UUID{}
	}
	return pgUUID(id.UUID)
}
