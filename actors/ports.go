package actors

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Journal is the store as the journal actors need it. Implementations are safe
// for concurrent use. An error with messages.CodeUnavailable says that nothing
// of the batch was applied and never will be; with messages.CodeBadRequest, the
// same, because of what one of the writes says; with messages.CodeOverloaded, the
// same, because of contention; any other error, that it is
// unknown. Durability: what Commit returned outcomes for is on stable storage. The
// batch is the caller's again when Commit returns; the outcomes are nobody else's.
type Journal interface {
	Commit(ctx context.Context, batch []messages.Write) ([]messages.Outcome, error)
}

// Reader reads the truth about calls in progress, as committed; after a Commit
// whose outcome is unknown it answers only when that transaction is over.
// Implementations are safe for concurrent use.
type Reader interface {
	ClaimsOfUsers(ctx context.Context, users []messages.UserID) ([]messages.HeldClaim, error)
	ClaimsOfClients(ctx context.Context, clients []messages.ClientID) ([]messages.HeldClaim, error)
	// EndedCalls returns those of the calls that have ended.
	EndedCalls(ctx context.Context, calls []messages.CallID) ([]messages.Call, error)
	ExistingClients(ctx context.Context, clients []messages.ClientID) ([]messages.ClientID, error)
	Expired(ctx context.Context, limit int) ([]messages.HeldClaim, error)
	Ping(ctx context.Context) error
}

// Observer is told what the engine does, for metrics. Its methods are called
// from many goroutines and must be quick.
type Observer interface {
	// BatchCommitted is told of every batch that a journal wrote: how many
	// writes it had, how long the store took, and whether it failed.
	BatchCommitted(writes int, took time.Duration, err error)
	// ActorFailed is told of every panic in an actor; kind is user, client or
	// journal.
	ActorFailed(kind string)
	// StoreReachable is told when the gate closes and opens.
	StoreReachable(reachable bool)
}

// NoObserver ignores everything.
type NoObserver struct{}

// BatchCommitted implements [Observer].
func (NoObserver) BatchCommitted(int, time.Duration, error) {}

// ActorFailed implements [Observer].
func (NoObserver) ActorFailed(string) {}

// StoreReachable implements [Observer].
func (NoObserver) StoreReachable(bool) {}
