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

const emailIndex = "accounts_email_key"

// AddUsers implements [persistence.People].
func (s *Store) AddUsers(ctx context.Context, users []messages.NewUser, audit ...messages.Audit) ([]messages.User, error) {
	made := make([]messages.User, len(users))
	if len(users) == 0 {
		return made, nil
	}
	var ids uuids
	var emails, firsts, lasts, roles, hashes []string
	for i, u := range users {
		if u.ID.IsZero() {
			u.ID.UUID = uuid.New()
		}
		made[i] = u.User
		ids, emails = append(ids, pgUUID(u.ID.UUID)), append(emails, u.Email)
		firsts, lasts = append(firsts, u.FirstName), append(lasts, u.LastName)
		roles, hashes = append(roles, string(u.Role)), append(hashes, u.PasswordHash)
	}
	err := s.run(ctx, func(ctx context.Context, x *tx) error {
		x.witness = witness{`SELECT EXISTS (SELECT FROM accounts WHERE id = ANY ($1))`, []any{ids}}
		queueAudit(&x.last, audit...)
		_, err := x.exec(ctx, `
INSERT INTO accounts (id, email, first_name, last_name, role, password_hash)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])`,
			ids, emails, firsts, lasts, roles, hashes)
		if isUniqueViolation(err, emailIndex) {
			return &messages.Error{Code: messages.CodeEmailTaken, Cause: err}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

const accountColumns = `id, email, first_name, last_name, role, password_hash, disabled, created_at`

func accountTargets(a *messages.Account) []any {
	return []any{
		raw(&a.ID.UUID), &a.Email, &a.FirstName, &a.LastName, (*string)(&a.Role), &a.PasswordHash, &a.Disabled, &a.CreatedAt,
	}
}

func (s *Store) account(ctx context.Context, where string, arg any) (messages.Account, error) {
	var a messages.Account
	err := s.engine.QueryRow(ctx, `SELECT `+accountColumns+` FROM accounts WHERE `+where, arg).Scan(accountTargets(&a)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return messages.Account{}, coded(messages.CodeUserNotFound)
	}
	a.CreatedAt = a.CreatedAt.UTC()
	return a, wrap(s.broken(err))
}

// UserByID implements [persistence.People].
func (s *Store) UserByID(ctx context.Context, id messages.UserID) (messages.Account, error) {
	return s.account(ctx, `id = $1`, pgUUID(id.UUID))
}

// UserByEmail implements [persistence.People].
func (s *Store) UserByEmail(ctx context.Context, email string) (messages.Account, error) {
	return s.account(ctx, `lower(email) = lower($1)`, email)
}

// ListUsers implements [persistence.People].
func (s *Store) ListUsers(ctx context.Context) ([]messages.Account, error) {
	rows, err := s.lists.Query(ctx, `SELECT `+accountColumns+` FROM accounts ORDER BY lower(email), id`)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var all []messages.Account
	var a messages.Account
	_, err = pgx.ForEachRow(rows, accountTargets(&a), func() error {
		a.CreatedAt = a.CreatedAt.UTC()
		all = append(all, a)
		return nil
	})
	return all, wrap(s.broken(err))
}

// SetPassword implements [persistence.People].
func (s *Store) SetPassword(ctx context.Context, id messages.UserID, hash string, audit messages.Audit) error {
	return s.run(ctx, func(ctx context.Context, x *tx) error {
		x.last.Queue(`DELETE FROM sessions WHERE user_id = $1`, pgUUID(id.UUID))
		queueAudit(&x.last, audit)
		rows, err := x.exec(ctx, `UPDATE accounts SET password_hash = $2 WHERE id = $1`, pgUUID(id.UUID), hash)
		if err == nil && rows == 0 {
			return coded(messages.CodeUserNotFound)
		}
		return err
	})
}

// DisableUser implements [persistence.People].
func (s *Store) DisableUser(ctx context.Context, id messages.UserID, audit messages.Audit) error {
	return s.run(ctx, func(ctx context.Context, x *tx) error {
		x.last.Queue(`DELETE FROM sessions WHERE user_id = $1`, pgUUID(id.UUID))
		return x.setDisabled(ctx, id, true, audit)
	})
}

// EnableUser implements [persistence.People].
func (s *Store) EnableUser(ctx context.Context, id messages.UserID, audit messages.Audit) error {
	return s.run(ctx, func(ctx context.Context, x *tx) error {
		return x.setDisabled(ctx, id, false, audit)
	})
}

// setDisabled writes the audit if the account was not so before.
func (x *tx) setDisabled(ctx context.Context, id messages.UserID, disabled bool, audit messages.Audit) error {
	var changed, there bool
	b := x.batch()
	b.Queue(`UPDATE accounts SET disabled = $2 WHERE id = $1 AND disabled <> $2`, pgUUID(id.UUID), disabled).
		Exec(func(tag pgconn.CommandTag) error {
			changed = tag.RowsAffected() > 0
			return nil
		})
	b.Queue(`SELECT EXISTS (SELECT FROM accounts WHERE id = $1)`, pgUUID(id.UUID)).
		QueryRow(func(row pgx.Row) error { return row.Scan(&there) })
	err := x.send(ctx, stageApply, b, true)
	switch {
	case err != nil:
		return err
	case !there:
		return coded(messages.CodeUserNotFound)
	case changed:
		queueAudit(&x.last, audit)
	}
	return nil
}

// ActiveUsers implements [persistence.People].
func (s *Store) ActiveUsers(ctx context.Context) ([]messages.User, error) {
	rows, err := s.lists.Query(ctx, `SELECT id, first_name, last_name, email, role FROM accounts WHERE NOT disabled`)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var all []messages.User
	var u messages.User
	var role string
	_, err = pgx.ForEachRow(rows, []any{raw(&u.ID.UUID), &u.FirstName, &u.LastName, &u.Email, &role}, func() error {
		u.Role = knownRole(role)
		all = append(all, u)
		return nil
	})
	return all, wrap(s.broken(err))
}

// knownRole is the role of which there is one string for all who have it.
func knownRole(role string) messages.Role {
	for _, known := range []messages.Role{messages.RoleUser, messages.RoleAdmin} {
		if role == string(known) {
			return known
		}
	}
	return messages.Role(role)
}

const userStatuses = `
SELECT a.id, a.first_name, a.last_name, a.email, a.role, c.client_id, c.call_id, c.started_at,
       k.id IS NOT NULL, coalesce(k.name, ''), coalesce(k.phone, ''), coalesce(k.email, '')
FROM accounts a
LEFT JOIN claims c ON c.user_id = a.id
LEFT JOIN clients k ON k.id = c.client_id
WHERE NOT a.disabled AND (c.user_id IS NOT NULL OR NOT $1)
ORDER BY a.first_name, a.last_name, a.id`

// UserStatuses implements [persistence.People].
func (s *Store) UserStatuses(ctx context.Context, onCallOnly bool) ([]messages.UserStatus, error) {
	rows, err := s.lists.Query(ctx, userStatuses, onCallOnly)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var (
		all     []messages.UserStatus
		u       messages.User
		client  pgtype.UUID
		call    pgtype.UUID
		started *time.Time
		known   bool
		summary messages.ClientSummary
	)
	targets := []any{
		raw(&u.ID.UUID), &u.FirstName, &u.LastName, &u.Email, (*string)(&u.Role), &client, &call, &started,
		&known, &summary.Name, &summary.Phone, &summary.Email,
	}
	_, err = pgx.ForEachRow(rows, targets, func() error {
		st := messages.UserStatus{User: u}
		if client.Valid {
			id := messages.ClientID{UUID: client.Bytes}
			st.IsOnCall, st.CallStartedAt, st.CurrentCallClientID = true, storedPtr(started), &id
			st.CurrentCallID = &messages.CallID{UUID: call.Bytes}
			if known {
				c := summary
				c.ID, st.Client = id, &c
			}
		}
		all = append(all, st)
		return nil
	})
	return all, wrap(s.broken(err))
}
