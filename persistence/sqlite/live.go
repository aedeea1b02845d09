package sqlite

import (
	"context"
	"database/sql"

	"github.com/dibs-calls/dibs/messages"
)

// who is what an account a and a client k show of themselves, for whoTargets.
// Either can be missing only where somebody deleted it past the store.
const who = `
	coalesce(a.first_name, ''), coalesce(a.last_name, ''), coalesce(a.email, ''), coalesce(a.role, ''),
	coalesce(k.name, ''), coalesce(k.phone, ''), coalesce(k.email, '')`

func whoTargets(l *messages.LiveCall) []any {
	return []any{
		&l.User.FirstName, &l.User.LastName, &l.User.Email, &l.User.Role,
		&l.Client.Name, &l.Client.Phone, &l.Client.Email,
	}
}

// selectLive reads calls in progress and who they are between, for scanLive.
const selectLive = `
	select c.call_id, c.client_id, c.user_id, c.token, c.started_at, c.lease_expires_at,` + who + `
	from claims c left join accounts a on a.id = c.user_id left join clients k on k.id = c.client_id
	`

// scanLive scans a row of selectLive.
func scanLive(scan func(...any) error) (messages.LiveCall, error) {
	var l messages.LiveCall
	var started, expires int64
	c := &l.Call
	err := scan(append(
		[]any{&c.ID, &c.ClientID, &c.UserID, &c.Token, &started, &expires}, whoTargets(&l)...,
	)...)
	c.StartedAt, c.LeaseExpiresAt = timeOf(started), timeOf(expires)
	l.User.ID, l.Client.ID = c.UserID, c.ClientID
	return l, err
}

// CallsInProgress implements [persistence.ClaimReader].
func (s *Store) CallsInProgress(ctx context.Context) ([]messages.LiveCall, error) {
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	var all []messages.LiveCall
	err := s.query(ctx, selectLive, nil, func(rows *sql.Rows) error {
		l, err := scanLive(rows.Scan)
		all = append(all, l)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
