package sqlite

import (
	"context"
	"database/sql"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// AddUsers implements [persistence.People].
func (s *Store) AddUsers(ctx context.Context, people []messages.NewUser, audit ...messages.Audit) ([]messages.User, error) {
	users := make([]messages.User, len(people))
	for i, p := range people {
		if err := checkText(p.Email, p.FirstName, p.LastName, string(p.Role), p.PasswordHash); err != nil {
			return nil, err
		}
		users[i] = p.User
		if p.ID.IsZero() {
			users[i].ID.UUID = uuid.New()
		}
	}
	if len(users) == 0 {
		return users, nil
	}
	err := s.write(ctx, func(x *tx) error {
		for i, u := range users {
			if err := x.addUser(u, people[i].PasswordHash); err != nil {
				return err
			}
		}
		return x.auditAll(audit)
	})
	if err != nil {
		return nil, err
	}
	return users, nil
}

func (x *tx) addUser(u messages.User, hash string) error {
	var emailTaken, idTaken bool
	_, err := x.get(`
		select exists (select 1 from accounts where email = ?1), exists (select 1 from accounts where id = ?2)`,
		[]any{u.Email, u.ID}, &emailTaken, &idTaken)
	switch {
	case err != nil:
		return err
	case emailTaken:
		return coded(messages.CodeEmailTaken)
	case idTaken:
		return badRequest("Another user has this id.", nil)
	}
	_, err = x.exec(`
		insert into accounts (id, email, first_name, last_name, role, password_hash, created_at)
		values (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
		u.ID, u.Email, u.FirstName, u.LastName, string(u.Role), hash, x.now)
	return err
}

// selectAccounts reads accounts for scanAccount.
const selectAccounts = `
	select id, email, first_name, last_name, role, password_hash, disabled_at is not null, created_at from accounts `

func scanAccount(rows *sql.Rows) (messages.Account, error) {
	var a messages.Account
	var created int64
	err := rows.Scan(&a.ID, &a.Email, &a.FirstName, &a.LastName, &a.Role, &a.PasswordHash, &a.Disabled, &created)
	a.CreatedAt = timeOf(created)
	return a, err
}

func (s *Store) accounts(ctx context.Context, condition string, args ...any) ([]messages.Account, error) {
	var accounts []messages.Account
	err := s.query(ctx, selectAccounts+condition, args, func(rows *sql.Rows) error {
		a, err := scanAccount(rows)
		accounts = append(accounts, a)
		return err
	})
	return accounts, err
}

func (s *Store) account(ctx context.Context, condition string, arg any) (messages.Account, error) {
	accounts, err := s.accounts(ctx, condition, arg)
	if err == nil && len(accounts) == 0 {
		err = coded(messages.CodeUserNotFound)
	}
	if err != nil {
		return messages.Account{}, err
	}
	return accounts[0], nil
}

// UserByID implements [persistence.People].
func (s *Store) UserByID(ctx context.Context, id messages.UserID) (messages.Account, error) {
	return s.account(ctx, `where id = ?1`, id)
}

// UserByEmail implements [persistence.People].
func (s *Store) UserByEmail(ctx context.Context, email string) (messages.Account, error) {
	if err := checkText(email); err != nil {
		return messages.Account{}, err
	}
	return s.account(ctx, `where email = ?1`, email)
}

// ListUsers implements [persistence.People].
func (s *Store) ListUsers(ctx context.Context) ([]messages.Account, error) {
	return s.accounts(ctx, `order by email`)
}

// SetPassword implements [persistence.People].
func (s *Store) SetPassword(ctx context.Context, id messages.UserID, hash string, audit messages.Audit) error {
	if err := checkText(hash); err != nil {
		return err
	}
	return s.write(ctx, func(x *tx) error {
		n, err := x.exec(`update accounts set password_hash = ?2 where id = ?1`, id, hash)
		if err == nil && n == 0 {
			err = coded(messages.CodeUserNotFound)
		}
		if err != nil {
			return err
		}
		if err := x.endSessions(id); err != nil {
			return err
		}
		return x.audit(&audit)
	})
}

func (x *tx) endSessions(id messages.UserID) error {
	_, err := x.exec(`delete from sessions where user_id = ?1`, id)
	return err
}

// DisableUser implements [persistence.People].
func (s *Store) DisableUser(ctx context.Context, id messages.UserID, audit messages.Audit) error {
	return s.write(ctx, func(x *tx) error {
		if err := x.setDisabled(id, true, audit); err != nil {
			return err
		}
		return x.endSessions(id)
	})
}

// EnableUser implements [persistence.People].
func (s *Store) EnableUser(ctx context.Context, id messages.UserID, audit messages.Audit) error {
	return s.write(ctx, func(x *tx) error { return x.setDisabled(id, false, audit) })
}

// setDisabled leaves an account as it is, and the trail untold, if it was so
// before.
func (x *tx) setDisabled(id messages.UserID, disabled bool, audit messages.Audit) error {
	var was bool
	found, err := x.get(`select disabled_at is not null from accounts where id = ?1`, []any{id}, &was)
	switch {
	case err != nil:
		return err
	case !found:
		return coded(messages.CodeUserNotFound)
	case was == disabled:
		return nil
	}
	if _, err := x.exec(`update accounts set disabled_at = iif(?2, ?3, null) where id = ?1`, id, disabled, x.now); err != nil {
		return err
	}
	return x.audit(&audit)
}

// ActiveUsers implements [persistence.People].
func (s *Store) ActiveUsers(ctx context.Context) ([]messages.User, error) {
	users := []messages.User{}
	err := s.query(ctx, `select id, email, first_name, last_name, role from accounts where disabled_at is null`, nil,
		func(rows *sql.Rows) error {
			var u messages.User
			err := rows.Scan(&u.ID, &u.Email, &u.FirstName, &u.LastName, &u.Role)
			users = append(users, u)
			return err
		})
	return users, err
}

// UserStatuses implements [persistence.People].
func (s *Store) UserStatuses(ctx context.Context, onCallOnly bool) ([]messages.UserStatus, error) {
	statuses := []messages.UserStatus{}
	err := s.query(ctx, `
		select a.id, a.email, a.first_name, a.last_name, a.role, k.started_at, k.call_id, c.id, c.name, c.phone, c.email
		from accounts a
		left join claims k on k.user_id = a.id
		left join clients c on c.id = k.client_id
		where a.disabled_at is null and (k.user_id is not null or not ?1)
		order by a.first_name, a.last_name, a.id`,
		[]any{onCallOnly},
		func(rows *sql.Rows) error {
			st, err := scanStatus(rows)
			statuses = append(statuses, st)
			return err
		})
	return statuses, err
}

func scanStatus(rows *sql.Rows) (messages.UserStatus, error) {
	var st messages.UserStatus
	var started *int64
	var call *messages.CallID
	var id *messages.ClientID
	var name, phone, email sql.NullString
	err := rows.Scan(&st.ID, &st.Email, &st.FirstName, &st.LastName, &st.Role, &started, &call, &id, &name, &phone, &email)
	if started == nil || id == nil {
		return st, err
	}
	st.IsOnCall, st.CallStartedAt, st.CurrentCallClientID, st.CurrentCallID = true, timePtr(started), id, call
	st.Client = &messages.ClientSummary{ID: *id, Name: name.String, Phone: phone.String, Email: email.String}
	return st, err
}
