package persistence

import (
	"context"
	"errors"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Attempt is one try at a transaction. Its methods are called by one
// goroutine, in the order Apply, Commit, Resolve; Rollback is called last, on
// every attempt that Apply was called on, and may find that there is nothing
// left to do.
type Attempt interface {
	// Apply begins the transaction and carries out its statements. After an
	// error the transaction must not be able to take effect any more, because
	// Commit is not called.
	Apply(ctx context.Context) error
	// Commit makes the transaction durable before it returns nil.
	Commit(ctx context.Context) error
	// Resolve finds out what became of the transaction after a Commit whose
	// answer was lost. It takes as long as ctx lets it.
	Resolve(ctx context.Context) Fate
	// Rollback lets go of the attempt: what was not committed is undone.
	Rollback()
}

// Fate is what became of a transaction.
type Fate uint8

const (
	// FateUnknown: it cannot be told (yet).
	FateUnknown Fate = iota
	// FateApplied: it was committed, and is durable.
	FateApplied
	// FateNotApplied: it was rolled back, or never will be committed.
	FateNotApplied
)

// Verdict is how a store reads an error of its own.
type Verdict uint8

const (
	// VerdictUnsure: the error does not tell. Before the commit that means not
	// applied; from a commit it means that the store must be asked.
	VerdictUnsure Verdict = iota
	// VerdictNotApplied: the store itself said that the transaction did not
	// happen.
	VerdictNotApplied
	// VerdictRetry: like VerdictNotApplied, and the same transaction may well
	// succeed now (a deadlock, a serialization failure).
	VerdictRetry
)

// Committer runs transactions so that each ends as applied, as not applied, or
// as unknown, and never as a guess. Its fields are set once; it is safe for
// concurrent use.
type Committer struct {
	// Judge reads a store's error.
	Judge func(error) Verdict
	// Tries is how often a transaction is tried in all while its store says
	// VerdictRetry.
	Tries int
	// Pause waits before the next try (from 1) or until ctx ends.
	Pause func(ctx context.Context, try int)
	// ResolveWithin bounds Resolve. The context of the caller does not: who
	// stops waiting during a commit leaves its outcome to be found out all the
	// same.
	ResolveWithin time.Duration
}

// Run carries out a transaction: attempt makes each try. The error is nil when
// it was applied. Otherwise it carries a code: [messages.CodeOutcomeUnknown]
// when it cannot be told, and every other one means not applied, now or ever:
// the code that Apply's error carries, else [messages.CodeUnavailable].
func (c *Committer) Run(ctx context.Context, attempt func() Attempt) error {
	for try := 1; ; try++ {
		verdict, err := c.try(ctx, attempt())
		if err == nil || verdict != VerdictRetry || try >= c.Tries || ctx.Err() != nil {
			return err
		}
		c.Pause(ctx, try)
	}
}

func (c *Committer) try(ctx context.Context, a Attempt) (Verdict, error) {
	defer a.Rollback()
	if err := a.Apply(ctx); err != nil {
		return c.Judge(err), notApplied(err)
	}
	if err := ctx.Err(); err != nil {
		return VerdictNotApplied, notApplied(err)
	}
	err := a.Commit(ctx)
	if err == nil {
		return VerdictUnsure, nil
	}
	if v := c.Judge(err); v != VerdictUnsure {
		return v, notApplied(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.ResolveWithin)
	defer cancel()
	switch a.Resolve(ctx) {
	case FateApplied:
		return VerdictUnsure, nil
	case FateNotApplied:
		return VerdictNotApplied, notApplied(err)
	}
	return VerdictUnsure, &messages.Error{Code: messages.CodeOutcomeUnknown, Cause: err}
}

// notApplied gives err a code unless it has one. CodeOutcomeUnknown is taken
// from it: nothing was committed, and that is known.
func notApplied(err error) error {
	var coded *messages.Error
	if errors.As(err, &coded) && coded.Code != messages.CodeOutcomeUnknown {
		return err
	}
	return &messages.Error{Code: messages.CodeUnavailable, Cause: err}
}
