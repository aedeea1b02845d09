package rivals

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pgConns is the size of the pool: enough to keep two cores busy. More makes
// both ways slower there.
const pgConns = 32

// specSchema is the schema of the call-conflict spec, with the index that its
// second statement needs.
const specSchema = `
CREATE TABLE clients (id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE users (
    id uuid PRIMARY KEY,
    first_name text NOT NULL,
    is_on_call boolean DEFAULT false NOT NULL,
    current_call_client_id uuid REFERENCES clients (id),
    call_started_at timestamptz
);
CREATE INDEX users_client ON users (current_call_client_id) WHERE is_on_call;`

// uniqueIndex makes the database refuse, so that no check before is needed.
const uniqueIndex = `
DROP INDEX users_client;
CREATE UNIQUE INDEX users_client ON users (current_call_client_id) WHERE is_on_call;`

const (
	endStatement = `UPDATE users SET is_on_call = false, current_call_client_id = NULL, call_started_at = NULL WHERE id = $1`
	whoStatement = `SELECT id FROM users WHERE current_call_client_id = $1 AND is_on_call`
)

// postgres is what the two ways have in common.
type postgres struct{ pool *pgxpool.Pool }

// PreparePostgres makes the tables and fills them.
func PreparePostgres(ctx context.Context, url string, unique bool, p People) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	schema := specSchema
	if unique {
		schema += uniqueIndex
	}
	if _, err := conn.Exec(ctx, schema); err != nil {
		return err
	}
	rows := func(ids []uuid.UUID, name func(int) string) pgx.CopyFromSource {
		return pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) { return []any{ids[i], name(i)}, nil })
	}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"clients"}, []string{"id", "name"}, rows(p.Clients, ClientName)); err != nil {
		return err
	}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"users"}, []string{"id", "first_name"}, rows(p.Users, UserName)); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `VACUUM ANALYZE`)
	return err
}

func openPostgres(ctx context.Context, url string) (postgres, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return postgres{}, err
	}
	config.MaxConns = pgConns
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return postgres{pool}, err
}

// End implements [Rival].
func (p postgres) End(ctx context.Context, user uuid.UUID) error {
	_, err := p.pool.Exec(ctx, endStatement, user)
	return err
}

// Holder implements [Rival].
func (p postgres) Holder(ctx context.Context, client uuid.UUID) (id uuid.UUID, err error) {
	err = p.pool.QueryRow(ctx, whoStatement, client).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, nil
	}
	return id, err
}

// Close implements [Rival].
func (p postgres) Close() { p.pool.Close() }

// ThreeStatements is what the spec describes: look, look, write. Two that come
// together both win.
type ThreeStatements struct{ postgres }

// NewThreeStatements opens a database that was prepared without the unique index.
func NewThreeStatements(ctx context.Context, url string) (Rival, error) {
	p, err := openPostgres(ctx, url)
	return ThreeStatements{p}, err
}

// Start implements [Rival].
func (s ThreeStatements) Start(ctx context.Context, user, client uuid.UUID) (Result, error) {
	var onCall bool
	if err := s.pool.QueryRow(ctx, `SELECT is_on_call FROM users WHERE id = $1`, user).Scan(&onCall); err != nil || onCall {
		return Result{Outcome: UserBusy}, err
	}
	holder, err := s.Holder(ctx, client)
	if err != nil || holder != uuid.Nil {
		return Result{ClientBusy, holder}, err
	}
	_, err = s.pool.Exec(ctx, `UPDATE users SET is_on_call = true, current_call_client_id = $2, call_started_at = now() WHERE id = $1`, user, client)
	return Result{}, err
}

// ConditionalUpdate is the one statement of somebody who thought about races.
type ConditionalUpdate struct{ postgres }

// NewConditionalUpdate opens a database that was prepared with the unique index.
func NewConditionalUpdate(ctx context.Context, url string) (Rival, error) {
	p, err := openPostgres(ctx, url)
	return ConditionalUpdate{p}, err
}

// Start implements [Rival]. Only who is refused costs a second statement: the
// answer names who is calling.
func (s ConditionalUpdate) Start(ctx context.Context, user, client uuid.UUID) (Result, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE users SET is_on_call = true, current_call_client_id = $2, call_started_at = now()
		WHERE id = $1 AND NOT is_on_call`, user, client)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == "23505": // unique_violation: being called
		holder, err := s.Holder(ctx, client)
		return Result{ClientBusy, holder}, err
	case err == nil && tag.RowsAffected() == 0:
		return Result{Outcome: UserBusy}, nil
	}
	return Result{}, err
}
