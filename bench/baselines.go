package main

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// baselineConns is the size of a baseline's pool: enough to keep two cores
// busy. More makes both slower here.
const baselineConns = 32

// spec is the schema of the call-conflict spec, with the index that its second
// statement needs.
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

// uniqueSchema is the same with the index made unique: then the database
// refuses, and no check before is needed.
const uniqueSchema = `
CREATE TABLE clients (id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE users (
    id uuid PRIMARY KEY,
    first_name text NOT NULL,
    is_on_call boolean DEFAULT false NOT NULL,
    current_call_client_id uuid REFERENCES clients (id),
    call_started_at timestamptz
);
CREATE UNIQUE INDEX users_client ON users (current_call_client_id) WHERE is_on_call;`

const endStatement = `UPDATE users SET is_on_call = false, current_call_client_id = NULL, call_started_at = NULL WHERE id = $1`

// baseline is what the two have in common.
type baseline struct{ pool *pgxpool.Pool }

func newBaseline(ctx context.Context, url, schema string, p people) (baseline, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return baseline{}, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, schema); err != nil {
		return baseline{}, err
	}
	if err := p.load(ctx, conn); err != nil {
		return baseline{}, err
	}
	if _, err := conn.Exec(ctx, `VACUUM ANALYZE`); err != nil {
		return baseline{}, err
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return baseline{}, err
	}
	config.MaxConns = baselineConns
	pool, err := pgxpool.NewWithConfig(ctx, config)
	return baseline{pool}, err
}

func (b baseline) end(ctx context.Context, user uuid.UUID) error {
	_, err := b.pool.Exec(ctx, endStatement, user)
	return err
}

func (b baseline) close() { b.pool.Close() }

// threeStatements is what the spec describes: look, look, write. Two that come
// together both win.
type threeStatements struct{ baseline }

func (threeStatements) name() string { return "three statements" }

func (s threeStatements) start(ctx context.Context, user, client uuid.UUID) (bool, error) {
	var onCall bool
	if err := s.pool.QueryRow(ctx, `SELECT is_on_call FROM users WHERE id = $1`, user).Scan(&onCall); err != nil || onCall {
		return false, err
	}
	var caller string
	err := s.pool.QueryRow(ctx, `SELECT first_name FROM users WHERE current_call_client_id = $1 AND is_on_call`, client).Scan(&caller)
	if err == nil {
		return false, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	_, err = s.pool.Exec(ctx, `UPDATE users SET is_on_call = true, current_call_client_id = $2, call_started_at = now() WHERE id = $1`, user, client)
	return err == nil, err
}

// conditionalUpdate is the one statement of somebody who thought about races.
type conditionalUpdate struct{ baseline }

func (conditionalUpdate) name() string { return "conditional update" }

func (s conditionalUpdate) start(ctx context.Context, user, client uuid.UUID) (bool, error) {
	tag, err := s.pool.Exec(ctx, `UPDATE users SET is_on_call = true, current_call_client_id = $2, call_started_at = now()
		WHERE id = $1 AND NOT is_on_call`, user, client)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" { // unique_violation: being called
		return false, nil
	}
	return err == nil && tag.RowsAffected() == 1, err
}
