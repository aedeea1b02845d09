package client

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"
)

const (
	// patience is how long a request is tried if its context has no deadline.
	patience = 30 * time.Second
	// attemptTimeout is a little more than the server takes at most.
	attemptTimeout = 7 * time.Second

	backoffFirst = 50 * time.Millisecond
	backoffMost  = 2 * time.Second
)

// ask sends a request until it is answered for good or ctx ends, and decodes the
// answer into out, if that is not nil.
func (c *Client) ask(ctx context.Context, r *request, out any) error {
	if err := notSent(ctx); err != nil {
		return err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	var doubt *Error // of an attempt whose outcome is unknown
	for n := 0; ; n++ {
		body, err := c.attempt(ctx, r)
		if err == nil {
			return decode(body, out)
		}
		e := asError(err)
		if !e.temporary() {
			return e
		}
		if e.Code == CodeOutcomeUnknown {
			doubt = e
		}
		if !pause(ctx, e.retryAfter+backoff(n)) {
			return gaveUp(ctx, e, doubt)
		}
	}
}

func (c *Client) attempt(ctx context.Context, r *request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return c.via.do(ctx, r)
}

func decode(body []byte, out any) error {
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &Error{Code: CodeInternal, Sentence: "The answer cannot be understood.", cause: err}
	}
	return nil
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

// backoff is the pause after the n-th attempt that failed, from zero. It
// differs, so that those who failed together do not come back together.
func backoff(n int) time.Duration {
	d := backoffMost
	if n < 6 {
		d = min(d, backoffFirst<<n)
	}
	return d/2 + rand.N(d)
}

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
