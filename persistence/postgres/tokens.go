package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// AddSession implements [persistence.Tokens].
func (s *Store) AddSession(ctx context.Context, digest [32]byte, user messages.UserID, expires time.Time) error {
	return s.run(ctx, func(ctx context.Context, x *tx) error {
		x.witness = witness{`SELECT EXISTS (SELECT FROM sessions WHERE digest = $1)`, []any{digest[:]}}
		rows, err := x.exec(ctx, `
INSERT INTO sessions (digest, user_id, expires_at)
SELECT $1, id, $3 FROM accounts WHERE id = $2 AND NOT disabled`, digest[:], pgUUID(user.UUID), expires)
		if err == nil && rows == 0 {
			return coded(messages.CodeUserNotFound)
		}
		return err
	})
}

// AddAPIKey implements [persistence.Tokens].
func (s *Store) AddAPIKey(ctx context.Context, digest [32]byte, key messages.APIKey, audit messages.Audit) error {
	if key.ID == uuid.Nil {
		key.ID = uuid.New()
	}
	return s.run(ctx, func(ctx context.Context, x *tx) error {
		x.witness = witness{`SELECT EXISTS (SELECT FROM api_keys WHERE digest = $1)`, []any{digest[:]}}
		queueAudit(&x.last, audit)
		_, err := x.exec(ctx, `
INSERT INTO api_keys (id, digest, name, role, rate_limit) VALUES ($1, $2, $3, $4, $5)`,
			pgUUID(key.ID), digest[:], key.Name, string(key.Role), key.RateLimit)
		return err
	})
}

const principal = `
SELECT a.id, NULL::uuid, a.first_name, a.last_name, a.email, a.role, 0::float8, s.expires_at
FROM sessions s JOIN accounts a ON a.id = s.user_id
WHERE s.digest = $1 AND s.expires_at > statement_timestamp() AND NOT a.disabled
UNION ALL
SELECT NULL, k.id, k.name, '', '', k.role, k.rate_limit, NULL
FROM api_keys k WHERE k.digest = $1 AND k.revoked_at IS NULL`

// PrincipalByToken implements [persistence.Tokens].
func (s *Store) PrincipalByToken(ctx context.Context, digest [32]byte) (messages.Principal, error) {
	var (
		p         messages.Principal
		user, key pgtype.UUID
		expires   *time.Time
	)
	err := s.engine.QueryRow(ctx, principal, digest[:]).Scan(&user, &key,
		&p.User.FirstName, &p.User.LastName, &p.User.Email, (*string)(&p.User.Role), &p.RateLimit, &expires)
	if errors.Is(err, pgx.ErrNoRows) {
		return messages.Principal{}, coded(messages.CodeUnauthenticated)
	}
	if err != nil {
		return messages.Principal{}, wrap(s.broken(err))
	}
	p.User.ID.UUID, p.KeyID = user.Bytes, key.Bytes // null: all zeros
	if expires != nil {
		p.ExpiresAt = expires.UTC()
	}
	return p, nil
}

// RevokeSession implements [persistence.Tokens].
func (s *Store) RevokeSession(ctx context.Context, digest [32]byte) error {
	return s.run(ctx, func(ctx context.Context, x *tx) error {
		_, err := x.exec(ctx, `DELETE FROM sessions WHERE digest = $1`, digest[:])
		return err
	})
}

// RevokeAPIKey implements [persistence.Tokens].
func (s *Store) RevokeAPIKey(ctx context.Context, id uuid.UUID, audit messages.Audit) error {
	return s.run(ctx, func(ctx context.Context, x *tx) error {
		var revoked, there bool
		b := x.batch()
		b.Queue(`UPDATE api_keys SET revoked_at = statement_timestamp() WHERE id = $1 AND revoked_at IS NULL`, pgUUID(id)).
			Exec(func(tag pgconn.CommandTag) error {
				revoked = tag.RowsAffected() > 0
				return nil
			})
		b.Queue(`SELECT EXISTS (SELECT FROM api_keys WHERE id = $1)`, pgUUID(id)).
			QueryRow(func(row pgx.Row) error { return row.Scan(&there) })
		err := x.send(ctx, stageApply, b, true)
		switch {
		case err != nil:
			return err
		case !there:
			return coded(messages.CodeNotFound)
		case revoked:
			queueAudit(&x.last, audit)
		}
		return nil
	})
}

// ListAPIKeys implements [persistence.Tokens].
func (s *Store) ListAPIKeys(ctx context.Context) ([]messages.APIKey, error) {
	rows, err := s.lists.Query(ctx, `
SELECT id, name, role, rate_limit, created_at, revoked_at FROM api_keys ORDER BY created_at DESC, id DESC`)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var all []messages.APIKey
	var k messages.APIKey
	targets := []any{raw(&k.ID), &k.Name, (*string)(&k.Role), &k.RateLimit, &k.CreatedAt, &k.RevokedAt}
	_, err = pgx.ForEachRow(rows, targets, func() error {
		key := k
		key.CreatedAt, key.RevokedAt = k.CreatedAt.UTC(), storedPtr(k.RevokedAt)
		all = append(all, key)
		return nil
	})
	return all, wrap(s.broken(err))
}
