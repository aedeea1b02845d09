package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const clientColumns = `id, name, phone, email, notes, attributes::text, created_at, updated_at`

// clientRow is where a client is scanned to.
type clientRow struct {
	messages.Client
	attributes string
}

func (r *clientRow) targets() []any {
	return []any{raw(&r.ID.UUID), &r.Name, &r.Phone, &r.Email, &r.Notes, &r.attributes, &r.CreatedAt, &r.UpdatedAt}
}

func (r *clientRow) client() messages.Client {
	c := r.Client
	c.Attributes = json.RawMessage(r.attributes)
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	return c
}

func eachClient(rows pgx.Rows, f func(messages.Client) error) error {
	var r clientRow
	_, err := pgx.ForEachRow(rows, r.targets(), func() error { return f(r.client()) })
	return err
}

// ClientByID implements [persistence.Clients].
func (s *Store) ClientByID(ctx context.Context, id messages.ClientID) (messages.Client, error) {
	var r clientRow
	err := s.engine.QueryRow(ctx, `SELECT `+clientColumns+` FROM clients WHERE id = $1`, pgUUID(id.UUID)).Scan(r.targets()...)
	if errors.Is(err, pgx.ErrNoRows) {
		return messages.Client{}, coded(messages.CodeClientNotFound)
	}
	if err != nil {
		return messages.Client{}, wrap(s.broken(err))
	}
	return r.client(), nil
}

// AddClients implements [persistence.Clients].
func (s *Store) AddClients(ctx context.Context, clients []messages.Client, audit ...messages.Audit) error {
	if len(clients) == 0 {
		return nil
	}
	for i := range clients {
		c := &clients[i]
		if err := checkAttributes(c); err != nil {
			return err
		}
		if c.ID.IsZero() {
			c.ID.UUID = uuid.New()
		}
	}
	a := clientArrays(clients)
	var now time.Time
	err := s.run(ctx, func(ctx context.Context, x *tx) error {
		x.witness = witness{`SELECT EXISTS (SELECT FROM clients WHERE id = ANY ($1))`, []any{a.ids[:1]}}
		queueAudit(&x.last, audit...)
		b := x.batch()
		b.Queue(insertClients, a.args()...)
		b.Queue(`SELECT now()`).QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
		return x.send(ctx, stageApply, b, true)
	})
	if err != nil {
		return err
	}
	for i := range clients {
		clients[i].CreatedAt, clients[i].UpdatedAt = now.UTC(), now.UTC()
	}
	return nil
}

// arrays is clients as the parameters of a batch.
type arrays struct {
	ids                                      uuids
	names, phones, emails, notes, attributes []string
}

func clientArrays(clients []messages.Client) (a arrays) {
	for _, c := range clients {
		a.ids, a.names = append(a.ids, pgUUID(c.ID.UUID)), append(a.names, c.Name)
		a.phones, a.emails = append(a.phones, c.Phone), append(a.emails, c.Email)
		a.notes, a.attributes = append(a.notes, c.Notes), append(a.attributes, string(c.Attributes))
	}
	return a
}

// unnestClients makes rows of the parameters that args returns.
const unnestClients = `unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
	AS b (id, name, phone, email, notes, attributes)`

const insertClients = `
INSERT INTO clients (id, name, phone, email, notes, attributes, created_at, updated_at)
SELECT id, name, phone, email, notes, attributes::json, now(), now()
FROM ` + unnestClients

func (a arrays) args() []any {
	return []any{a.ids, a.names, a.phones, a.emails, a.notes, a.attributes}
}

// checkAttributes refuses what is no JSON object, and makes nothing at all an
// empty one, in place.
func checkAttributes(c *messages.Client) error {
	switch given := bytes.TrimSpace(c.Attributes); {
	case len(given) == 0:
		c.Attributes = json.RawMessage(`{}`)
	case given[0] != '{' || !json.Valid(given):
		return &messages.Error{Code: messages.CodeBadRequest, Sentence: "The attributes of a client are a JSON object."}
	}
	return nil
}

// DeleteClient implements [persistence.Clients]. It keeps claims out while it
// looks and deletes: a claim under way is waited for and seen, one that comes
// later waits, and finds no client.
func (s *Store) DeleteClient(ctx context.Context, id messages.ClientID, audit messages.Audit) error {
	return s.run(ctx, func(ctx context.Context, x *tx) error {
		var there, called bool
		b := x.batch()
		// The lock timeout keeps claims from waiting behind this one for long.
		b.Queue(`LOCK TABLE claims IN SHARE MODE`)
		b.Queue(`
SELECT EXISTS (SELECT FROM clients WHERE id = $1), EXISTS (SELECT FROM claims WHERE client_id = $1)`, pgUUID(id.UUID)).
			QueryRow(func(row pgx.Row) error { return row.Scan(&there, &called) })
		b.Queue(`
DELETE FROM clients k WHERE k.id = $1 AND NOT EXISTS (SELECT FROM claims c WHERE c.client_id = k.id)`, pgUUID(id.UUID)).
			Exec(func(pgconn.CommandTag) error { return nil })
		queueAudit(&x.last, audit)
		err := x.send(ctx, stageApply, b, true)
		switch {
		case err != nil:
			return err
		case !there:
			return coded(messages.CodeClientNotFound)
		case called:
			return coded(messages.CodeClientBeingCalled)
		}
		return nil
	})
}

// pageSize is how many clients EachClient holds at a time.
const pageSize = 1000

// EachClient implements [persistence.Clients]. It reads page after page, so
// that a slow f keeps neither a connection nor a snapshot.
func (s *Store) EachClient(ctx context.Context, f func(messages.Client) error) error {
	after := uuid.Nil
	page := make([]messages.Client, 0, pageSize)
	for {
		rows, err := s.engine.Query(ctx,
			`SELECT `+clientColumns+` FROM clients WHERE id > $1 ORDER BY id LIMIT $2`, pgUUID(after), pageSize)
		if err != nil {
			return wrap(s.broken(err))
		}
		page = page[:0]
		err = eachClient(rows, func(c messages.Client) error {
			page = append(page, c)
			return nil
		})
		if err != nil {
			return wrap(s.broken(err))
		}
		for _, c := range page {
			if err := f(c); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].ID.UUID
	}
}
