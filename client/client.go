package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"
)

// Client asks one dibs. Make one with [New] or [OverNATS] and share it.
type Client struct {
	via  transport
	wall func() time.Time // the clock on the wall; nil: the machine's
}

// transport carries requests. Its errors are of type *Error, or stand for an
// answer that did not come.
type transport interface {
	// do sends one request, once, and returns the body of the answer.
	do(ctx context.Context, r *request) ([]byte, error)
	// watch follows live events from behind position after, until ctx ends,
	// something breaks, or ready or take returns false. It calls ready once it
	// follows, with the position at which it begins if that is known.
	watch(ctx context.Context, after string, ready func(position string) bool, take func(Event) bool) error
	close()
}

// request is one thing asked for, whatever the transport.
type request struct {
	verb   string // start, end, renew, availability
	action string // of a change of calls
	client string // of a question about availability
	key    string // idempotency key; may be empty
	body   []byte // of all but availability over HTTP
}

// changes reports whether a request may have changed something although no answer came.
func (r *request) changes() bool { return r.action != "" }

// change is the body of a request that changes calls.
type change struct {
	Action       string `json:"action,omitempty"`
	UserID       string `json:"user_id,omitempty"`
	UserEmail    string `json:"user_email,omitempty"`
	ClientID     string `json:"client_id,omitempty"`
	ClientPhone  string `json:"client_phone,omitempty"`
	CallID       string `json:"call_id,omitempty"`
	Token        int64  `json:"token,omitempty"`
	LeaseSeconds int64  `json:"lease_seconds,omitempty"`
	Disposition  string `json:"disposition,omitempty"`
	Notes        string `json:"notes,omitempty"`
}

// StartOption is an option of [Client.Start] and [Client.Hold].
type StartOption func(*startOptions)

type startOptions struct {
	lease time.Duration
	key   string
	named bool // the caller gave the key
}

// Lease is how long the call may go on without being renewed: a second to a
// day, rounded up to whole seconds. Without it, a start has the server's default
// (two hours), and a hold 30 seconds.
func Lease(d time.Duration) StartOption {
	return func(o *startOptions) { o.lease = time.Duration(wholeSeconds(d)) * time.Second }
}

// wholeSeconds is d in seconds, rounded up.
func wholeSeconds(d time.Duration) int64 {
	seconds := int64(d / time.Second)
	if d%time.Second > 0 {
		seconds++
	}
	return seconds
}

// IdempotencyKey names the start, with one to 255 printable ASCII characters:
// the same key gives the first answer again for a day, also to another process.
// Without it, each start has a key of its own, which [Error.IdempotencyKey]
// tells.
//
// Whoever has the key has the call. Two programs that live at the same time and
// use one key both hold the same claim, and both may dial: make the key of
// something that only one of them works on, as a job of a queue. A refusal is an
// answer too, and is given again for as long: make it of the job and of the
// attempt ("lead-17/1"), and count on when the client is to be tried anew.
func IdempotencyKey(key string) StartOption {
	return func(o *startOptions) { o.key, o.named = key, true }
}

func started(opts []StartOption) startOptions {
	o := startOptions{key: rand.Text()}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// Start claims client for user: user begins to call client. They are ids, or
// [Email] and [Phone]. An empty user is the one that the token belongs to, which
// an API key is not.
//
// Errors: [CodeClientBeingCalled] with who does, [CodeUserOnCall] with the call,
// [CodeUserNotFound], [CodeClientNotFound], and those of every request. With
// [CodeOutcomeUnknown] the call may have been started; then it blocks the client
// until its lease runs out, which without [Lease] is two hours. To find out,
// start again with the same key ([Error.IdempotencyKey]).
func (c *Client) Start(ctx context.Context, user, client string, opts ...StartOption) (Call, error) {
	call, _, err := c.start(ctx, user, client, started(opts))
	return call, err
}

// start also returns when the request was sent first: the lease cannot have
// begun before.
func (c *Client) start(ctx context.Context, user, client string, o startOptions) (Call, moment, error) {
	if o.key == "" || len(o.key) > maxKey || !printable(o.key) {
		return Call{}, moment{}, badRequest("The idempotency key must be one to %d printable ASCII characters.", maxKey)
	}
	in, err := whom(user, client)
	if err != nil {
		return Call{}, moment{}, err
	}
	in.LeaseSeconds = wholeSeconds(o.lease)
	sent := c.now()
	call, err := c.call(ctx, "start", in, o.key)
	if err != nil {
		return Call{}, sent, withKey(err, o.key)
	}
	return call, sent, nil
}

func withKey(err error, key string) error {
	e := *asError(err)
	e.IdempotencyKey = key
	return &e
}

// Renew lets a call go on for lease from now; zero: as long as when it was
// started. It returns the call with its new end.
//
// Errors: [CodeCallOver], and those of every request.
func (c *Client) Renew(ctx context.Context, call Call, lease time.Duration) (Call, error) {
	if call.ID == "" || call.Token < 1 {
		return Call{}, badRequest("A renewal names a call, by its ID and its Token.")
	}
	return c.call(ctx, "renew", renewal(call, lease), "")
}

func renewal(call Call, lease time.Duration) change {
	return change{UserID: call.UserID, CallID: call.ID, Token: call.Token, LeaseSeconds: wholeSeconds(lease)}
}

// End ends a call. Ending one that is over already is no error, so it can be
// repeated; it never ends another call than this one, and one without an ID is
// [CodeBadRequest].
func (c *Client) End(ctx context.Context, call Call, outcome Outcome) error {
	if call.ID == "" {
		return badRequest("An end names a call, by its ID.")
	}
	in := change{UserID: call.UserID, CallID: call.ID, Token: call.Token,
		Disposition: outcome.Disposition, Notes: outcome.Notes}
	body, err := c.ask(ctx, newRequest("end", in, rand.Text()))
	if err != nil {
		return err
	}
	return ended(body)
}

// Availability says whether client, an id, can be called now, from the claim
// itself: after a start was acknowledged nobody is told that the client is available.
// It may be out of date when it arrives; only a start decides.
//
// Errors: [CodeClientNotFound], and those of every request.
func (c *Client) Availability(ctx context.Context, client string) (Availability, error) {
	if strings.HasPrefix(client, phoneScheme) {
		return Availability{}, badRequest("A client whose availability is asked for is named by id.")
	}
	r := newRequest("availability", change{ClientID: client}, "")
	r.client = client
	body, err := c.ask(ctx, r)
	if err != nil {
		return Availability{}, err
	}
	return available(body)
}

// call asks for a change of calls that answers with a call.
func (c *Client) call(ctx context.Context, verb string, in change, key string) (Call, error) {
	body, err := c.ask(ctx, newRequest(verb, in, key))
	if err != nil {
		return Call{}, err
	}
	return granted(body, in)
}

func newRequest(verb string, in change, key string) *request {
	r := &request{verb: verb, key: key}
	if verb != "availability" {
		in.Action = verb + "_call"
		r.action = in.Action
	}
	r.body, _ = json.Marshal(in) // strings and numbers always encode
	return r
}

// Close closes idle connections that New made. It is not needed before a
// program ends, and does nothing over NATS.
func (c *Client) Close() { c.via.close() }
