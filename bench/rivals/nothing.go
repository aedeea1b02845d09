package rivals

import (
	"context"

	"github.com/google/uuid"
)

// Nothing says yes to everybody, at once, and keeps nothing: what is left is the
// cost of the HTTP layer.
type Nothing struct{}

// NewNothing makes one.
func NewNothing() Rival { return Nothing{} }

// Start implements [Rival].
func (Nothing) Start(context.Context, uuid.UUID, uuid.UUID) (Result, error) { return Result{}, nil }

// End implements [Rival].
func (Nothing) End(context.Context, uuid.UUID) error { return nil }

// Holder implements [Rival].
func (Nothing) Holder(context.Context, uuid.UUID) (uuid.UUID, error) { return uuid.Nil, nil }

// Close implements [Rival].
func (Nothing) Close() {}
