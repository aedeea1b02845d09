package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/dibs-calls/dibs/actors"
	"github.com/dibs-calls/dibs/bench/rivals"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/postgres"
)

// dibs is the engine as a process runs it, without HTTP in front.
type dibs struct {
	store  persistence.Store
	engine *actors.System
	drain  context.CancelFunc // ends what clears the outbox
	done   chan struct{}
}

func newDibs(ctx context.Context, url string, p rivals.People) (*dibs, error) {
	if _, err := postgres.Migrate(ctx, url); err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := postgres.Open(ctx, postgres.Config{URL: url, Logger: log})
	if err != nil {
		return nil, err
	}
	if _, err := store.Occupy(ctx, false); err != nil { // as dibs serve does
		return nil, err
	}
	if err := addPeople(ctx, store, p); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	d := &dibs{
		store: store, done: make(chan struct{}),
		engine: actors.NewSystem(actors.Config{Journal: store, Reader: store, Logger: log}),
	}
	ctx, d.drain = context.WithCancel(context.WithoutCancel(ctx))
	go func() { defer close(d.done); drainOutbox(ctx, conn) }()
	return d, nil
}

// drainOutbox stands in for the publisher: what is committed is removed from
// the outbox soon after. Publishing itself is not part of what is compared.
func drainOutbox(ctx context.Context, conn *pgx.Conn) {
	defer conn.Close(context.WithoutCancel(ctx))
	_, _ = conn.Exec(ctx, `SET synchronous_commit = off`)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := int64(0) // found by the index, as the publisher does; a scan would take ever longer
	for {
		var id int64
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			rows, _ := conn.Query(ctx, `DELETE FROM outbox WHERE id > $1 RETURNING id`, last)
			_, _ = pgx.ForEachRow(rows, []any{&id}, func() error { last = max(last, id); return nil })
		}
	}
}

func addPeople(ctx context.Context, store persistence.Store, p rivals.People) error {
	var users []messages.NewUser
	for i, id := range p.Users {
		users = append(users, messages.NewUser{User: messages.User{
			ID: messages.UserID{UUID: id}, FirstName: fmt.Sprintf("User %d", i),
			Email: fmt.Sprintf("user%d@example.com", i), Role: messages.RoleUser,
		}})
	}
	if _, err := store.AddUsers(ctx, users); err != nil {
		return err
	}
	for i := 0; i < len(p.Clients); i += 1000 {
		var clients []messages.Client
		for j := i; j < min(i+1000, len(p.Clients)); j++ {
			clients = append(clients, messages.Client{
				ID: messages.ClientID{UUID: p.Clients[j]}, Name: fmt.Sprintf("Client %d", j), Attributes: []byte("{}"),
			})
		}
		if err := store.AddClients(ctx, clients); err != nil {
			return err
		}
	}
	return nil
}

func (*dibs) name() string { return "dibs" }

func (d *dibs) start(ctx context.Context, user, client uuid.UUID) (bool, error) {
	a := d.engine.StartCall(ctx, messages.StartCall{
		User: messages.UserID{UUID: user}, Client: messages.ClientID{UUID: client},
		Call: messages.CallID{UUID: uuid.Must(uuid.NewV7())},
	})
	switch a.Code {
	case messages.OK:
		return true, nil
	case messages.CodeClientBeingCalled, messages.CodeUserOnCall:
		return false, nil
	}
	return false, &messages.Error{Code: a.Code}
}

func (d *dibs) end(ctx context.Context, user uuid.UUID) error {
	a := d.engine.EndCall(ctx, messages.EndCall{User: messages.UserID{UUID: user}, Reason: messages.ReasonCompleted})
	if a.Code != messages.OK {
		return &messages.Error{Code: a.Code}
	}
	return nil
}

func (d *dibs) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	d.drain()
	<-d.done
	_ = d.engine.Stop(ctx)
	_ = d.store.Close()
}
