package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// DefaultHoldLease is the lease of a hold that names none. A dialer that
// crashes blocks the client for that long.
const DefaultHoldLease = 30 * time.Second

// Held is a claim that is renewed in the background. Its methods are safe for
// concurrent use.
type Held struct {
	client *Client
	lease  time.Duration
	ctx    context.Context //nolint:containedctx // it is what a holder is given
	cancel context.CancelCauseFunc

	stopping context.Context //nolint:containedctx // ends the renewals alone
	stop     context.CancelFunc
	done     chan struct{} // closed when the renewals have ended

	mu      sync.Mutex
	call    Call
	ends    time.Time   // when the lease runs out at the earliest, by our clock
	expiry  *time.Timer // fires at ends
	failure error       // of the last renewal, if it failed
}

// Hold starts a call and renews it in the background until [Held.End], or until
// ctx ends; then the claim is left to its lease. Errors are those of
// [Client.Start].
//
// The claim counts as lost when the server says that the call is over (an
// administrator ended it, the user began another call), or when the lease could
// have run out: by our own monotonic clock, measured from before the request
// that set it was sent, so that it is never later than the server's. Then the
// context of the held claim is cancelled.
//
// With an [IdempotencyKey] that was used before, by a program that crashed, the
// call of then is taken up again, if it is still in progress: else the error is
// [CodeCallOver].
func (c *Client) Hold(ctx context.Context, user, client string, opts ...StartOption) (*Held, error) {
	o := started(opts)
	if o.lease == 0 {
		o.lease = DefaultHoldLease
	}
	named := o.key != ""
	call, sent, err := c.start(ctx, user, client, o)
	if err != nil {
		return nil, err
	}
	// The answer to a key that was used before may be an old one, and one that
	// took many tries may leave little of the lease.
	if named || time.Since(sent) > o.lease/3 {
		if call, sent, err = c.renewNow(ctx, call, o.lease); err != nil {
			return nil, err
		}
	}
	h := &Held{client: c, lease: o.lease, call: call, ends: sent.Add(o.lease), done: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	h.stopping, h.stop = context.WithCancel(h.ctx)
	h.expiry = time.AfterFunc(time.Until(h.ends), h.ranOut)
	go h.renew(sent)
	return h, nil
}

// renewNow renews once, and returns when it was sent.
func (c *Client) renewNow(ctx context.Context, call Call, lease time.Duration) (Call, time.Time, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	for n := 0; ; n++ {
		renewed, sent, err := c.renewOnce(ctx, call, lease)
		if err == nil || !asError(err).temporary() || !pause(ctx, asError(err).retryAfter+backoff(n)) {
			return renewed, sent, err
		}
	}
}

func (c *Client) renewOnce(ctx context.Context, call Call, lease time.Duration) (Call, time.Time, error) {
	sent := time.Now()
	body, err := c.attempt(ctx, newRequest("renew", renewal(call, lease), ""))
	if err != nil {
		return call, sent, asError(err)
	}
	var out struct{ Call Call }
	err = decode(body, &out)
	return out.Call, sent, err
}

// Call is the call as the server last described it.
func (h *Held) Call() Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.call
}

// Context ends when the claim is lost, ended, or the context of [Client.Hold]
// ends. [context.Cause] says why: [CodeCallOver] for a claim that was lost.
func (h *Held) Context() context.Context { return h.ctx }

// End ends the call, and the renewals. It is nil also for a claim that is over
// already, except when it was lost before: then it says so, after having freed
// the client where that was still needed. It can be repeated.
func (h *Held) End(ctx context.Context, outcome Outcome) error {
	h.stop()
	<-h.done
	wasLost := context.Cause(h.ctx)
	h.expiry.Stop()
	h.cancel(nil)
	if err := h.client.End(ctx, h.Call(), outcome); err != nil {
		return err
	}
	if errors.Is(wasLost, CodeCallOver) {
		return wasLost
	}
	return nil
}

// renew renews the lease each time that a third of it has passed, until the
// claim is ended or lost.
func (h *Held) renew(sent time.Time) {
	defer close(h.done)
	defer h.stop()
	next := sent.Add(h.third())
	for failed := 0; ; {
		if !sleepUntil(h.stopping, next) {
			h.leave()
			return
		}
		ctx, cancel := context.WithDeadline(h.stopping, h.until())
		call, sent, err := h.client.renewOnce(ctx, h.Call(), h.lease)
		cancel()
		switch {
		case err == nil:
			h.renewed(call, sent)
			failed, next = 0, sent.Add(h.third())
		case errors.Is(err, CodeCallOver):
			h.expiry.Stop()
			h.cancel(err)
			return
		default:
			// Whatever it is, it may pass before the lease has run out.
			h.failed(err)
			next = time.Now().Add(asError(err).retryAfter + backoff(failed))
			failed++
		}
	}
}

// third is a third of the lease, or a little less, so that programs that
// started together do not renew together.
func (h *Held) third() time.Duration { return h.lease/3 - rand.N(h.lease/15) }

func (h *Held) until() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ends
}

func (h *Held) renewed(call Call, sent time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.call, h.ends, h.failure = call, sent.Add(h.lease), nil
	if h.ctx.Err() == nil {
		h.expiry.Reset(time.Until(h.ends))
	}
}

func (h *Held) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failure = err
}

// ranOut cancels when the lease may have run out.
func (h *Held) ranOut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Until(h.ends) > 0 {
		return // renewed while the timer fired; it was set again
	}
	h.cancel(&Error{Code: CodeCallOver, Sentence: "The lease ran out before it could be renewed.", cause: h.failure})
}

// leave stops the clock when the context of Hold has ended.
func (h *Held) leave() {
	if h.ctx.Err() != nil {
		h.expiry.Stop()
	}
}

// sleepUntil is false if ctx ends before.
func sleepUntil(ctx context.Context, at time.Time) bool {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
