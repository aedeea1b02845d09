package persistence

import (
	"context"
	"time"
)

// Retention forgets what happened long ago.
type Retention interface {
	// PruneHistory removes finished calls that ended, and call logs that were saved, more
	// than age ago by the store's clock: at most limit of each, in one short
	// transaction that no claim and no release waits for. Calls in progress are not
	// touched.
	//
	// The newest call of a client stays, because the client's next fencing token
	// counts on from it (I6); what somebody wrote down about it does not.
	//
	// It walks through the history, a bounded piece at a time and all processes
	// together, and rests between two walks for a hundredth of age, a day at most. So
	// what has passed its time is gone some time later. A process that comes while
	// another one is at it does nothing.
	PruneHistory(ctx context.Context, age time.Duration, limit int) (Pruned, error)
}

// Pruned is what one [Retention.PruneHistory] did.
type Pruned struct {
	Calls    int  // that were removed
	Silenced int  // calls that stay, whose disposition and notes were emptied
	Logs     int  // that were removed
	More     bool // it is not through: there may be more to remove
}

// Rest is how long a store lets pass between two walks through the history, for
// calls that are kept for age. A walk reads all of it, so it is not made more often
// than makes a difference.
func Rest(age time.Duration) time.Duration {
	return min(age/100, 24*time.Hour)
}
