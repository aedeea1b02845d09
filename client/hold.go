package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// DefaultHoldLease is the lease of a hold that names none. A dialer that
	// crashes blocks the client for that long.
	DefaultHoldLease = 30 * time.Second

	// renewMost is the longest between two renewals, however long the lease is: it
	// is by a renewal that a holder learns that the claim was taken away.
	renewMost = DefaultHoldLease / 3
	// renewLeast is the shortest that an attempt to renew may take.
	renewLeast = 200 * time.Millisecond
	// clockEvery is how often the wall clock is looked at.
	clockEvery = time.Second
	// endGrace is for an end whose context has ended already.
	endGrace = 5 * time.Second
)

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
	ends    moment      // a tenth before the lease runs out at the earliest
	watch   *time.Timer // looks at the clocks, at ends or before
	failure error       // of the last renewal, if it failed
}

// Hold starts a call and renews it in the background until [Held.End], or until
// ctx ends; then the claim is left to its lease. Errors are those of
// [Client.Start].
//
// The claim counts as lost when the server says that the call is over (an
// administrator ended it, the user began another call), which a holder learns
// within ten seconds, or a third of a shorter lease; or when nine tenths of the
// lease have passed without a renewal; the last tenth is for hanging up. It
// is measured from before the request that set it was sent, so that it is never
// later than the server's, and by two clocks: Go's own stands still while the
// machine is suspended, the one on the wall does not. Then the context of the
// held claim is cancelled: after a suspension, within a second. (So it is when
// somebody sets the clock ahead.)
//
// With an [IdempotencyKey] that was used before, by a program that crashed, the
// call of then is taken up again, if it is still in progress: else the error is
// [CodeCallOver]. If that program lives after all, both hold the claim.
func (c *Client) Hold(ctx context.Context, user, client string, opts ...StartOption) (*Held, error) {
	o := started(opts)
	if o.lease == 0 {
		o.lease = DefaultHoldLease
	}
	call, sent, err := c.start(ctx, user, client, o)
	if err != nil {
		return nil, err
	}
	// The answer to a key that was used before may be an old one, and one that
	// took many tries may leave little of the lease.
	if o.named || sent.add(o.lease/3).left(c.now()) < 0 {
		if call, sent, err = c.renewNow(ctx, call, o.lease); err != nil {
			return nil, c.letGo(ctx, call, o, err)
		}
	}
	h := &Held{client: c, lease: o.lease, call: call, ends: endOf(sent, o.lease), done: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	h.stopping, h.stop = context.WithCancel(h.ctx)
	h.mu.Lock()
	h.watch = time.AfterFunc(0, h.lookAtClocks)
	h.mu.Unlock()
	go h.renew(sent)
	return h, nil
}

// letGo is for a hold that fails after its start: nobody else knows of a claim
// without a key of the caller's, so it is given back. It returns why.
func (c *Client) letGo(ctx context.Context, call Call, o startOptions, why error) error {
	if !o.named && !errors.Is(why, CodeCallOver) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endGrace)
		defer cancel()
		_ = c.End(ctx, call, Outcome{}) // else it ends by its lease
	}
	return withKey(why, o.key)
}

// endOf is when a holder stops to rely on a lease.
func endOf(sent moment, lease time.Duration) moment { return sent.add(lease - lease/10) }

// renewNow renews once, and returns when it was sent.
func (c *Client) renewNow(ctx context.Context, call Call, lease time.Duration) (Call, moment, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	for n := 0; ; n++ {
		renewed, sent, err := c.renewOnce(ctx, call, lease, share(ctx))
		if err == nil || !asError(err).temporary() || !pause(ctx, spread(asError(err).retryAfter)+backoff(n)) {
			return renewed, sent, err
		}
	}
}

func (c *Client) renewOnce(ctx context.Context, call Call, lease, limit time.Duration) (Call, moment, error) {
	in, sent := renewal(call, lease), c.now()
	body, err := c.attempt(ctx, newRequest("renew", in, ""), limit)
	if err != nil {
		return call, sent, asError(err)
	}
	renewed, err := granted(body, in)
	if err != nil {
		return call, sent, err
	}
	return renewed, sent, nil
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
//
// A program that stops ends its calls with a context that has ended: the end is
// sent all the same, and tried for up to five seconds. A context that ends
// meanwhile breaks it off, and leaves the client to the lease; to be sure, give
// it one of its own ([context.WithoutCancel], with a timeout).
func (h *Held) End(ctx context.Context, outcome Outcome) error {
	h.stop()
	<-h.done
	wasLost := context.Cause(h.ctx)
	h.cancel(nil)
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), endGrace)
		defer cancel()
	}
	if err := h.client.End(ctx, h.Call(), outcome); err != nil {
		return err
	}
	if errors.Is(wasLost, CodeCallOver) {
		return wasLost
	}
	return nil
}

// renew renews the lease each time that a third of it has passed, or ten seconds,
// until the claim is ended or lost.
func (h *Held) renew(sent moment) {
	defer close(h.done)
	defer h.stop()
	next := sent.steady.Add(h.pause())
	for failed := 0; sleepUntil(h.stopping, next); {
		// Neither an attempt whose answer is lost nor a pause that the server asks
		// for may cost more than a part of what is left.
		call, sent, err := h.client.renewOnce(h.stopping, h.Call(), h.lease, third(h.left(), renewLeast))
		switch {
		case err == nil:
			h.renewed(call, sent)
			failed, next = 0, sent.steady.Add(h.pause())
		case errors.Is(err, CodeCallOver):
			h.cancel(err)
			return
		default:
			// Whatever it is, it may pass before the lease has run out.
			h.failed(err)
			next = time.Now().Add(min(asError(err).retryAfter+backoff(failed), max(h.left()/3, renewLeast/4)))
			failed++
		}
	}
}

// pause is how long the next renewal may wait: a third of the lease, or a little
// less, so that programs that started together do not renew together.
func (h *Held) pause() time.Duration {
	d := min(h.lease/3, renewMost)
	return d - rand.N(d/5)
}

// left is how long the claim can be relied on.
func (h *Held) left() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ends.left(h.client.now())
}

func (h *Held) renewed(call Call, sent moment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.call, h.ends, h.failure = call, endOf(sent, h.lease), nil
}

func (h *Held) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failure = err
}

// lookAtClocks cancels when the lease may have run out by one of them, and looks
// again later if not.
func (h *Held) lookAtClocks() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return
	}
	if left := h.ends.left(h.client.now()); left > 0 {
		h.watch.Reset(min(left, clockEvery))
		return
	}
	h.cancel(&Error{Code: CodeCallOver, Sentence: "The lease ran out before it could be renewed.", cause: h.failure})
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
