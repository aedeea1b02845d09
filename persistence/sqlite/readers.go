package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// query runs a query of a reader and gives its rows to f, one by one. Statements
// are kept prepared.
func (s *Store) query(ctx context.Context, query string, args []any, f func(*sql.Rows) error) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	return wrap(s.rows(ctx, query, args, f))
}

func (s *Store) rows(ctx context.Context, query string, args []any, f func(*sql.Rows) error) (err error) {
	stmt, err := s.statement(ctx, query)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *Store) statement(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := s.prepared.Load(query); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := s.readers.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, loaded := s.prepared.LoadOrStore(query, stmt); loaded {
		return first.(*sql.Stmt), stmt.Close()
	}
	return stmt, nil
}

// row runs a query of at most one row, scans it and reports whether there was
// one.
func (s *Store) row(ctx context.Context, query string, args []any, dest ...any) (found bool, err error) {
	err = s.query(ctx, query, args, func(rows *sql.Rows) error {
		found = true
		return rows.Scan(dest...)
	})
	return found, err
}

// claims reads what is known to be over or in progress.
func (s *Store) claims(ctx context.Context, condition string, args ...any) ([]messages.HeldClaim, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	var claims []messages.HeldClaim
	err := s.query(ctx, selectClaims+condition, args, func(rows *sql.Rows) error {
		h, err := scanClaim(rows.Scan)
		claims = append(claims, h)
		return err
	})
	return claims, err
}

// ClaimsOfUsers implements [persistence.ClaimReader].
func (s *Store) ClaimsOfUsers(ctx context.Context, users []messages.UserID) ([]messages.HeldClaim, error) {
	return s.claims(ctx, `c.user_id in (select value from json_each(?1))`, list(users))
}

// ClaimsOfClients implements [persistence.ClaimReader].
func (s *Store) ClaimsOfClients(ctx context.Context, clients []messages.ClientID) ([]messages.HeldClaim, error) {
	return s.claims(ctx, `c.client_id in (select value from json_each(?1))`, list(clients))
}

// Expired implements [persistence.ClaimReader].
func (s *Store) Expired(ctx context.Context, limit int) ([]messages.HeldClaim, error) {
	return s.claims(ctx, `c.lease_expires_at <= ?1 order by c.lease_expires_at limit ?2`, s.clock(), limit)
}

// StartedBefore implements [persistence.ClaimReader].
func (s *Store) StartedBefore(ctx context.Context, age time.Duration, limit int) ([]messages.HeldClaim, error) {
	return s.claims(ctx, `c.started_at < ?1 order by c.started_at limit ?2`, s.clock()-age.Microseconds(), limit)
}

// EndedCalls implements [persistence.ClaimReader].
func (s *Store) EndedCalls(ctx context.Context, calls []messages.CallID) ([]messages.Call, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	var ended []messages.Call
	const found = `select id, client_id, user_id, token, started_at from calls where id in (select value from json_each(?1))`
	err := s.query(ctx, found, []any{list(calls)}, func(rows *sql.Rows) error {
		var c messages.Call
		var started int64
		err := rows.Scan(&c.ID, &c.ClientID, &c.UserID, &c.Token, &started)
		c.StartedAt = timeOf(started)
		ended = append(ended, c)
		return err
	})
	return ended, err
}

// ExistingClients implements [persistence.ClaimReader].
func (s *Store) ExistingClients(ctx context.Context, clients []messages.ClientID) ([]messages.ClientID, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	var existing []messages.ClientID
	err := s.query(ctx, `select id from clients where id in (select value from json_each(?1))`, []any{list(clients)},
		func(rows *sql.Rows) error {
			var id messages.ClientID
			err := rows.Scan(&id)
			existing = append(existing, id)
			return err
		})
	return existing, err
}
