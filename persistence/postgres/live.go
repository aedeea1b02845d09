package postgres

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
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

// liveRow is where callColumns and whoColumns are scanned to, row by row.
type liveRow struct {
	call  messages.Call
	texts [7]pgtype.DriverBytes // whoColumns, in the connection's memory: until the next row
	room  []byte                // for live
}

func (r *liveRow) targets() []any { return append(callTargets(&r.call), r.whoTargets()...) }

// whoTargets are where whoColumns alone are scanned to.
func (r *liveRow) whoTargets() []any {
	targets := make([]any, len(r.texts))
	for i := range r.texts {
		targets[i] = &r.texts[i]
	}
	return targets
}

// live is the call of the row that was scanned last. Its texts are parts of one string:
// they are kept together, for as long as the call is in progress, and let go together.
func (r *liveRow) live() messages.LiveCall {
	r.room = r.room[:0]
	for _, text := range r.texts {
		r.room = append(r.room, text...)
	}
	all := string(r.room)
	var who [len(r.texts)]string
	for i, text := range r.texts {
		who[i], all = all[:len(text)], all[len(text):]
	}
	l := messages.LiveCall{
		Call:   inUTC(r.call),
		User:   messages.User{FirstName: who[0], LastName: who[1], Email: who[2], Role: messages.Role(who[3])},
		Client: messages.ClientSummary{Name: who[4], Phone: who[5], Email: who[6]},
	}
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
