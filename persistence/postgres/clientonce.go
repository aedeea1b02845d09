package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// AddClientOnce implements [persistence.Clients].
func (s *Store) AddClientOnce(ctx context.Context, c *messages.Client, key messages.Key) error {
	made := *c
	if err := checkAttributes(&made); err != nil {
		return err
	}
	if made.ID.IsZero() {
		made.ID.UUID = uuid.New()
	}
	var result messages.Client
	err := s.run(ctx, func(ctx context.Context, x *tx) error {
		first, err := x.takeKey(ctx, key)
		switch {
		case err != nil:
			return err
		case first == nil:
			result, err = x.addClient(ctx, made, key)
			return err
		case first.Digest != key.Digest || first.Answer.Client == nil:
			return coded(messages.CodeKeyReused)
		}
		result = *first.Answer.Client
		return nil
	})
	if err == nil {
		*c = result
	}
	return err
}

// takeKey takes a key that is free, or returns what was recorded with it.
func (x *tx) takeKey(ctx context.Context, key messages.Key) (first *messages.RecordedKey, err error) {
	mine := false
	callers, values := []string{key.Caller}, []string{key.Value}
	b := x.batch()
	b.Queue(insertKeys, callers, values, [][]byte{key.Digest[:]}).Query(func(rows pgx.Rows) error {
		mine = rows.Next()
		return nil
	})
	b.Queue(selectKeys, callers, values).Query(func(rows pgx.Rows) error {
		return eachKey(rows, func(_ keyName, r messages.RecordedKey) { first = &r })
	})
	if err := x.send(ctx, stageKeys, b, true); err != nil {
		return nil, err
	}
	if !mine && first == nil {
		return nil, errCrowded // it passed its time between the two statements
	}
	return first, nil
}

// addClient makes a client, and records it with a key that was taken.
func (x *tx) addClient(ctx context.Context, c messages.Client, key messages.Key) (messages.Client, error) {
	a := clientArrays([]messages.Client{c})
	x.witness = witness{`SELECT EXISTS (SELECT FROM clients WHERE id = ANY ($1))`, []any{a.ids}}
	var now time.Time
	b := x.batch()
	b.Queue(insertClients, a.args()...)
	b.Queue(`SELECT now()`).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
	if err := x.send(ctx, stageApply, b, true); err != nil {
		return c, err
	}
	c.CreatedAt, c.UpdatedAt = now.UTC(), now.UTC()
	answer, err := json.Marshal(messages.Answer{Client: &c})
	if err != nil {
		return c, fmt.Errorf("the answer to record with a key: %w", err)
	}
	x.last.Queue(updateKeys, []string{key.Caller}, []string{key.Value}, []string{string(answer)})
	return c, nil
}
