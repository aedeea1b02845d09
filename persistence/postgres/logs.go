package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const logColumns = `
SELECT l.id, l.client_id, l.user_id, l.call_id, l.call_type, l.call_status, l.call_duration, l.notes,
       l.callback_requested, l.callback_time, l.call_started_at, l.call_ended_at, l.created_at,
       a.id, coalesce(a.first_name, ''), coalesce(a.last_name, ''), coalesce(a.email, ''),
       k.id, coalesce(k.name, ''), coalesce(k.phone, ''), coalesce(k.email, '')
FROM (SELECT * FROM call_logs l`

const logJoins = `) l
LEFT JOIN accounts a ON a.id = l.user_id
LEFT JOIN clients k ON k.id = l.client_id
ORDER BY l.created_at DESC, l.id DESC`

// ListLogs implements [persistence.Logs].
func (s *Store) ListLogs(ctx context.Context, q messages.LogQuery) ([]messages.CallLog, int, error) {
	var conditions []string
	var args []any
	narrow := func(column string, value any) {
		args = append(args, value)
		conditions = append(conditions, column+" = $"+strconv.Itoa(len(args)))
	}
	if !q.ClientID.IsZero() {
		narrow("l.client_id", pgUUID(q.ClientID.UUID))
	}
	if !q.UserID.IsZero() {
		narrow("l.user_id", pgUUID(q.UserID.UUID))
	}
	if q.Status != "" {
		narrow("l.call_status", q.Status)
	}
	where := ""
	if len(conditions) > 0 {
		where = " WHERE " + strings.Join(conditions, " AND ")
	}
	var total int
	page := []messages.CallLog{}
	b := &pgx.Batch{}
	b.Queue(`SELECT count(*) FROM call_logs l`+where, args...).
		QueryRow(func(row pgx.Row) error { return row.Scan(&total) })
	n := len(args)
	limit := ` ORDER BY l.created_at DESC, l.id DESC LIMIT $` + strconv.Itoa(n+1) + ` OFFSET $` + strconv.Itoa(n+2)
	b.Queue(logColumns+where+limit+logJoins, append(args, q.Limit, offset(q.Page, q.Limit))...).
		Query(func(rows pgx.Rows) error {
			return eachLog(rows, func(l messages.CallLog) error {
				page = append(page, l)
				return q.Room.ForLog(&l)
			})
		})
	if err := s.lists.SendBatch(ctx, b).Close(); err != nil {
		return nil, 0, wrap(s.broken(err))
	}
	return page, total, nil
}

func eachLog(rows pgx.Rows, f func(messages.CallLog) error) error {
	var (
		l                  messages.CallLog
		call, user, client pgtype.UUID
		u                  messages.UserSummary
		c                  messages.ClientSummary
	)
	targets := []any{
		raw(&l.ID.UUID), raw(&l.ClientID.UUID), raw(&l.UserID.UUID), &call, &l.CallType, &l.CallStatus, &l.CallDuration, &l.Notes,
		&l.CallbackRequested, &l.CallbackTime, &l.CallStartedAt, &l.CallEndedAt, &l.CreatedAt,
		&user, &u.FirstName, &u.LastName, &u.Email,
		&client, &c.Name, &c.Phone, &c.Email,
	}
	_, err := pgx.ForEachRow(rows, targets, func() error {
		log := l
		log.CreatedAt = l.CreatedAt.UTC()
		log.CallbackTime, log.CallStartedAt, log.CallEndedAt = storedPtr(l.CallbackTime), storedPtr(l.CallStartedAt), storedPtr(l.CallEndedAt)
		if call.Valid {
			log.CallID = &messages.CallID{UUID: uuid.UUID(call.Bytes)}
		}
		if user.Valid {
			of := u
			of.ID.UUID, log.User = user.Bytes, &of
		}
		if client.Valid {
			of := c
			of.ID.UUID, log.Client = client.Bytes, &of
		}
		return f(log)
	})
	return err
}
