package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// patience is how long a request is tried if its context has no deadline.
	patience = 30 * time.Second
	// attemptTimeout is a little more than the server takes at most. An attempt
	// has no more than a third of the time that is left, so that one lost answer
	// does not use up all of it; but askLeast, if there is so much.
	attemptTimeout = 7 * time.Second
	askLeast       = time.Second

	backoffFirst = 50 * time.Millisecond
	backoffMost  = 2 * time.Second
)

// ask sends a request until it is answered for good or ctx ends.
func (c *Client) ask(ctx context.Context, r *request) ([]byte, error) {
	if err := notSent(ctx); err != nil {
		return nil, err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	var doubt *Error  // of an attempt whose outcome is unknown
	var before *Error // why the last attempt failed that was not just without an answer
	for n := 0; ; n++ {
		body, err := c.attempt(ctx, r, share(ctx))
		if err == nil {
			return body, nil
		}
		e := asError(err)
		if !e.temporary() {
			return nil, refused(e, doubt)
		}
		if e.Code == CodeOutcomeUnknown && r.changes() {
			doubt = e
		}
		if !pause(ctx, spread(e.retryAfter)+backoff(n)) {
			if !r.changes() {
				e = unanswered(e, before)
			}
			return nil, gaveUp(ctx, e, doubt)
		}
		if e.Code != CodeOutcomeUnknown {
			before = e
		}
	}
}

// share is how long the next attempt may take. ctx has a deadline.
func share(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	return third(time.Until(deadline), askLeast)
}

// third is the part of what is left that one attempt may use.
func third(left, least time.Duration) time.Duration {
	return min(attemptTimeout, max(least, left/3))
}

func (c *Client) attempt(ctx context.Context, r *request, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.via.do(ctx, r)
}

// refused is the error of a request that was refused at last. If an attempt before
// may have been carried out and the refusal does not say that it was not (the
// key was revoked in between, a proxy is broken), both are said.
func refused(e, doubt *Error) *Error {
	if doubt == nil || e.Code.decided() {
		return e
	}
	both := *e
	both.cause = errors.Join(e.cause, doubt)
	return &both
}

// gaveUp is the error of a request that was tried until ctx ended or would have.
// If the outcome of one attempt is unknown, that of the request is.
func gaveUp(ctx context.Context, last, doubt *Error) error {
	e := *last
	if doubt != nil {
		e.Code, e.Sentence = doubt.Code, doubt.Sentence
	}
	if e.cause == nil {
		e.cause = ctx.Err()
	}
	if e.cause == nil {
		e.cause = context.DeadlineExceeded // before the next try
	}
	return &e
}

// unanswered is the error of a question that nobody answered: there is nothing that may
// have been done. If its last attempts only ran out of time, the one before says more.
func unanswered(last, before *Error) *Error {
	if last.Code != CodeOutcomeUnknown {
		return last
	}
	e := *last
	e.Code = CodeUnavailable
	if before != nil {
		e.cause = errors.Join(e.cause, before.cause)
	}
	return &e
}

// backoff is the pause after the n-th attempt that failed, from zero. It
// differs, so that those who failed together do not come back together.
func backoff(n int) time.Duration {
	d := backoffMost
	if n < 6 {
		d = min(d, backoffFirst<<n)
	}
	return d/2 + rand.N(d)
}

// spread is a time that a server asked to wait for, or up to half as much more: it told
// many the same, and they need not come back together.
func spread(d time.Duration) time.Duration { return d + rand.N(d/2+1) }

// pause waits for d. It is false at once if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
