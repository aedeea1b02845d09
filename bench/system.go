package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// system is one way to keep two people from calling the same client.
type system interface {
	name() string
	// start claims a client; ok is false when somebody else is calling.
	start(ctx context.Context, user, client uuid.UUID) (ok bool, err error)
	end(ctx context.Context, user uuid.UUID) error
	close()
}

// people are the users and clients of a run; every system has them all.
type people struct {
	users, clients []uuid.UUID
}

func newPeople(users, clients int) people {
	p := people{}
	for range users {
		p.users = append(p.users, uuid.New())
	}
	for range clients {
		p.clients = append(p.clients, uuid.New())
	}
	return p
}

// load fills the tables of a baseline.
func (p people) load(ctx context.Context, conn *pgx.Conn) error {
	rows := func(ids []uuid.UUID, kind string) pgx.CopyFromSource {
		return pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) {
			return []any{ids[i], fmt.Sprintf("%s %d", kind, i)}, nil
		})
	}
	if _, err := conn.CopyFrom(ctx, pgx.Identifier{"clients"}, []string{"id", "name"}, rows(p.clients, "Client")); err != nil {
		return err
	}
	_, err := conn.CopyFrom(ctx, pgx.Identifier{"users"}, []string{"id", "first_name"}, rows(p.users, "User"))
	return err
}
