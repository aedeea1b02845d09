package postgres

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
	"github.com/jackc/pgx/v5"
)

// Who a call c is between, for liveRow. The outer joins also fix the order in
// which the tables are read: from the calls at hand to accounts and clients.
// Both rows can be missing only where somebody deleted them past the store.
const (
	whoColumns = `coalesce(a.first_name, ''), coalesce(a.last_name, ''), coalesce(a.email, ''), coalesce(a.role, ''),
       coalesce(k.name, ''), coalesce(k.phone, ''), coalesce(k.email, '')`
	// whoLookups are for a few rows: one look-up a row, whatever the planner believes of the tables. OFFSET keeps it from joining them as a whole,
	// which it may prefer to for ever after it has seen them empty.
	whoLookups = `
LEFT JOIN LATERAL (SELECT id, first_name, last_name, email, role, disabled FROM accounts WHERE id = c.user_id OFFSET 0) a ON true
LEFT JOIN LATERAL (SELECT id, name, phone, email FROM clients WHERE id = c.client_id OFFSET 0) k ON true`
)

// liveRow is where callColumns and whoColumns are scanned to.
type liveRow struct{ messages.LiveCall }

func (r *liveRow) targets() []any { return append(callTargets(&r.Call), r.whoTargets()...) }

// whoTargets are where whoColumns alone are scanned to.
func (r *liveRow) whoTargets() []any {
	return []any{
		&r.User.FirstName, &r.User.LastName, &r.User.Email, (*string)(&r.User.Role),
		&r.Client.Name, &r.Client.Phone, &r.Client.Email,
	}
}

func (r *liveRow) live() messages.LiveCall {
	l := r.LiveCall
	l.Call = inUTC(l.Call)
	l.User.ID, l.Client.ID = l.Call.UserID, l.Call.ClientID
	return l
}

// callsInProgress looks up each client: calls are few beside clients, whose table
// takes longer to read as a whole than the planner believes.
const callsInProgress = `
SELECT ` + callColumnsOfC + `, ` + whoColumns + `
FROM claims c LEFT JOIN accounts a ON a.id = c.user_id
LEFT JOIN LATERAL (SELECT name, phone, email FROM clients WHERE id = c.client_id OFFSET 0) k ON true`

// CallsInProgress implements [persistence.ClaimReader]. It reads whole tables,
// so it is a list and not a look-up.
func (s *Store) CallsInProgress(ctx context.Context) ([]messages.LiveCall, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	if err := s.settled(ctx); err != nil {
		return nil, err
	}
	rows, err := s.lists.Query(ctx, callsInProgress)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var all []messages.LiveCall
	var r liveRow
	_, err = pgx.ForEachRow(rows, r.targets(), func() error {
		all = append(all, r.live())
		return nil
	})
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	return all, nil
}
