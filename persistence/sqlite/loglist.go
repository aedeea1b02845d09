package sqlite

import (
	"context"
	"database/sql"

	"github.com/dibs-calls/dibs/messages"
)

// ListLogs implements [persistence.Logs]. seq has the order in which logs were
// committed.
func (s *Store) ListLogs(ctx context.Context, q messages.LogQuery) ([]messages.CallLog, int, error) {
	if err := checkText(q.Status); err != nil {
		return nil, 0, err
	}
	// Each combination is a statement of its own, so that each finds its index.
	condition, args := `?1 is null`, []any{nil}
	if q.Status != "" {
		condition, args = `l.call_status = ?1`, []any{q.Status}
	}
	if !q.ClientID.IsZero() {
		condition, args = condition+` and l.client_id = ?2`, append(args, q.ClientID)
	} else {
		condition, args = condition+` and ?2 is null`, append(args, nil)
	}
	if !q.UserID.IsZero() {
		condition, args = condition+` and l.user_id = ?3`, append(args, q.UserID)
	} else {
		condition, args = condition+` and ?3 is null`, append(args, nil)
	}
	var total int
	if _, err := s.row(ctx, `select count(*) from call_logs l where `+condition, args, &total); err != nil {
		return nil, 0, err
	}
	logs := []messages.CallLog{}
	err := s.query(ctx, selectLogs+condition+` order by l.seq desc limit ?4 offset ?5`,
		append(args, q.Limit, offset(q.Page, q.Limit)),
		func(rows *sql.Rows) error {
			l, err := scanLog(rows)
			if err != nil {
				return err
			}
			logs = append(logs, l)
			return q.Room.ForLog(&l)
		})
	return logs, total, err
}

const selectLogs = `
	select l.id, l.client_id, l.user_id, l.call_id, l.call_type, l.call_status, l.call_duration,
		l.notes, l.callback_requested, l.callback_time, l.call_started_at, l.call_ended_at, l.created_at,
		a.id, a.first_name, a.last_name, a.email, c.id, c.name, c.phone, c.email
	from call_logs l
	left join accounts a on a.id = l.user_id
	left join clients c on c.id = l.client_id
	where `

func scanLog(rows *sql.Rows) (messages.CallLog, error) {
	var l messages.CallLog
	var created int64
	var callback, began, ended *int64
	var user *messages.UserID
	var client *messages.ClientID
	var first, last, email, name, phone, clientEmail sql.NullString
	err := rows.Scan(
		&l.ID, &l.ClientID, &l.UserID, &l.CallID, &l.CallType, &l.CallStatus, &l.CallDuration,
		&l.Notes, &l.CallbackRequested, &callback, &began, &ended, &created,
		&user, &first, &last, &email, &client, &name, &phone, &clientEmail,
	)
	l.CallbackTime, l.CallStartedAt, l.CallEndedAt = timePtr(callback), timePtr(began), timePtr(ended)
	l.CreatedAt = timeOf(created)
	if user != nil {
		l.User = &messages.UserSummary{ID: *user, FirstName: first.String, LastName: last.String, Email: email.String}
	}
	if client != nil {
		l.Client = &messages.ClientSummary{ID: *client, Name: name.String, Phone: phone.String, Email: clientEmail.String}
	}
	return l, err
}
