package sqlite

import (
	"context"
	"database/sql"
	"slices"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// AddClients implements [persistence.Clients].
func (s *Store) AddClients(ctx context.Context, clients []messages.Client, audit ...messages.Audit) error {
	if len(clients) == 0 {
		return nil
	}
	attributes := make([]string, len(clients))
	for i, c := range clients {
		var err error
		if attributes[i], err = checkClient(c); err != nil {
			return err
		}
	}
	ids := make([]messages.ClientID, len(clients))
	var rows []clientRow
	for i, c := range clients {
		if c.ID.IsZero() {
			c.ID.UUID = uuid.New()
		}
		ids[i] = c.ID
		rows = append(rows, clientRow{c.ID, c.Name, c.Phone, c.Email, c.Notes, attributes[i], searchText(c)})
	}
	var now int64
	err := s.write(ctx, func(x *tx) error {
		now = x.now
		if err := x.addClients(rows); err != nil {
			return err
		}
		return x.auditAll(audit)
	})
	if err != nil {
		return err
	}
	for i := range clients {
		c := &clients[i]
		c.ID, c.Attributes = ids[i], []byte(attributes[i])
		c.CreatedAt, c.UpdatedAt = timeOf(now), timeOf(now)
	}
	return nil
}

// clientRow is the values of a client, as addClients hands them over.
type clientRow [7]any

// addClients inserts many with few statements: the trigrams of a statement are
// merged into their table at its end, all at once.
func (x *tx) addClients(rows []clientRow) error {
	const atOnce = 1000
	for chunk := range slices.Chunk(rows, atOnce) {
		n, err := x.exec(`
			insert into clients (id, name, phone, email, notes, attributes, search, created_at, updated_at)
			select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, ?2, ?2
			from json_each(?1) where true
			on conflict (id) do nothing`,
			list(chunk), x.now)
		if err == nil && n < int64(len(chunk)) {
			err = badRequest("Another client has this id.", nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkClient(c messages.Client) (attributes string, err error) {
	if err := checkText(c.Name, c.Phone, c.Email, c.Notes); err != nil {
		return "", err
	}
	return object(c.Attributes)
}

// selectClients reads clients for scanClient.
const selectClients = `
	select id, name, phone, email, notes, attributes, created_at, updated_at from clients `

func scanClient(scan func(...any) error) (messages.Client, error) {
	var c messages.Client
	var attributes string
	var created, updated int64
	err := scan(&c.ID, &c.Name, &c.Phone, &c.Email, &c.Notes, &attributes, &created, &updated)
	c.Attributes = []byte(attributes)
	c.CreatedAt, c.UpdatedAt = timeOf(created), timeOf(updated)
	return c, err
}

// clients runs a query that begins as selectClients.
func (s *Store) clients(ctx context.Context, query string, args ...any) ([]messages.Client, error) {
	clients := []messages.Client{}
	err := s.query(ctx, query, args, func(rows *sql.Rows) error {
		c, err := scanClient(rows.Scan)
		clients = append(clients, c)
		return err
	})
	return clients, err
}

// ClientByID implements [persistence.Clients].
func (s *Store) ClientByID(ctx context.Context, id messages.ClientID) (messages.Client, error) {
	clients, err := s.clients(ctx, selectClients+`where id = ?1`, id)
	if err == nil && len(clients) == 0 {
		err = coded(messages.CodeClientNotFound)
	}
	if err != nil {
		return messages.Client{}, err
	}
	return clients[0], nil
}

// DeleteClient implements [persistence.Clients].
func (s *Store) DeleteClient(ctx context.Context, id messages.ClientID, audit messages.Audit) error {
	return s.write(ctx, func(x *tx) error {
		var held bool
		if _, err := x.get(`select exists (select 1 from claims where client_id = ?1)`, []any{id}, &held); err != nil {
			return err
		}
		if held {
			return coded(messages.CodeClientBeingCalled)
		}
		n, err := x.exec(`delete from clients where id = ?1`, id)
		if err == nil && n == 0 {
			err = coded(messages.CodeClientNotFound)
		}
		if err != nil {
			return err
		}
		return x.audit(&audit)
	})
}

// eachAtOnce is how many clients EachClient reads at a time. Between two reads
// nothing is held, neither a lock nor the log from being copied back.
const eachAtOnce = 500

// EachClient implements [persistence.Clients].
func (s *Store) EachClient(ctx context.Context, f func(messages.Client) error) error {
	last := ""
	for {
		clients, err := s.clients(ctx, selectClients+`where id > ?1 order by id limit ?2`, last, eachAtOnce)
		if err != nil {
			return err
		}
		for _, c := range clients {
			if err := f(c); err != nil {
				return err
			}
			last = c.ID.String()
		}
		if len(clients) < eachAtOnce {
			return nil
		}
	}
}
