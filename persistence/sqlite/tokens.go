package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// AddSession implements [persistence.Tokens].
func (s *Store) AddSession(ctx context.Context, digest [32]byte, user messages.UserID, expires time.Time) error {
	return s.write(ctx, func(x *tx) error {
		n, err := x.exec(`
			insert into sessions (digest, user_id, expires_at)
			select ?1, id, ?3 from accounts where id = ?2`,
			digest[:], user, expires.UnixMicro())
		if err == nil && n == 0 {
			err = coded(messages.CodeUserNotFound)
		}
		return err
	})
}

// AddAPIKey implements [persistence.Tokens].
func (s *Store) AddAPIKey(ctx context.Context, digest [32]byte, key messages.APIKey, audit messages.Audit) error {
	if err := checkText(key.Name, string(key.Role)); err != nil {
		return err
	}
	return s.write(ctx, func(x *tx) error {
		n, err := x.exec(`
			insert into api_keys (id, digest, name, role, rate_limit, created_at) values (?1, ?2, ?3, ?4, ?5, ?6)
			on conflict do nothing`,
			key.ID, digest[:], key.Name, string(key.Role), key.RateLimit, x.now)
		if err == nil && n == 0 {
			err = badRequest("Another API key has this id.", nil)
		}
		if err != nil {
			return err
		}
		return x.audit(&audit)
	})
}

// PrincipalByToken implements [persistence.Tokens].
func (s *Store) PrincipalByToken(ctx context.Context, digest [32]byte) (messages.Principal, error) {
	var p messages.Principal
	var expires int64
	found, err := s.row(ctx, `
		select a.id, a.email, a.first_name, a.last_name, a.role, s.expires_at
		from sessions s join accounts a on a.id = s.user_id
		where s.digest = ?1 and s.expires_at > ?2 and a.disabled_at is null`,
		[]any{digest[:], s.clock()},
		&p.User.ID, &p.User.Email, &p.User.FirstName, &p.User.LastName, &p.User.Role, &expires)
	if err != nil || found {
		p.ExpiresAt = timeOf(expires)
		return p, err
	}
	found, err = s.row(ctx, `select id, name, role, rate_limit from api_keys where digest = ?1 and revoked_at is null`,
		[]any{digest[:]}, &p.KeyID, &p.User.FirstName, &p.User.Role, &p.RateLimit)
	if err == nil && !found {
		err = coded(messages.CodeUnauthenticated)
	}
	return p, err
}

// RevokeSession implements [persistence.Tokens].
func (s *Store) RevokeSession(ctx context.Context, digest [32]byte) error {
	return s.write(ctx, func(x *tx) error {
		_, err := x.exec(`delete from sessions where digest = ?1`, digest[:])
		return err
	})
}

// RevokeAPIKey implements [persistence.Tokens].
func (s *Store) RevokeAPIKey(ctx context.Context, id uuid.UUID, audit messages.Audit) error {
	return s.write(ctx, func(x *tx) error {
		var revoked bool
		found, err := x.get(`select revoked_at is not null from api_keys where id = ?1`, []any{id}, &revoked)
		switch {
		case err != nil:
			return err
		case !found:
			return coded(messages.CodeNotFound)
		case revoked:
			return nil
		}
		if _, err := x.exec(`update api_keys set revoked_at = ?2 where id = ?1`, id, x.now); err != nil {
			return err
		}
		return x.audit(&audit)
	})
}

// ListAPIKeys implements [persistence.Tokens].
func (s *Store) ListAPIKeys(ctx context.Context) ([]messages.APIKey, error) {
	var keys []messages.APIKey
	err := s.query(ctx, `select id, name, role, rate_limit, created_at, revoked_at from api_keys order by seq desc`, nil,
		func(rows *sql.Rows) error {
			var k messages.APIKey
			var created int64
			var revoked *int64
			err := rows.Scan(&k.ID, &k.Name, &k.Role, &k.RateLimit, &created, &revoked)
			k.CreatedAt, k.RevokedAt = timeOf(created), timePtr(revoked)
			keys = append(keys, k)
			return err
		})
	return keys, err
}
