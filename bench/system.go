package main

import (
	"context"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/bench/rivals"
)

// system is one way to keep two people from calling the same client.
type system interface {
	name() string
	// start claims a client; ok is false when somebody else is calling.
	start(ctx context.Context, user, client uuid.UUID) (ok bool, err error)
	end(ctx context.Context, user uuid.UUID) error
	close()
}

// rival is a system that is not dibs.
type rival struct {
	title string
	rivals.Rival
}

func (r rival) name() string { return r.title }

func (r rival) start(ctx context.Context, user, client uuid.UUID) (bool, error) {
	result, err := r.Start(ctx, user, client)
	return err == nil && result.Outcome == rivals.Granted, err
}

func (r rival) end(ctx context.Context, user uuid.UUID) error { return r.End(ctx, user) }

func (r rival) close() { r.Close() }
