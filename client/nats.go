package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	rpcPrefix = "dibs.rpc."
	// headRoom is how much earlier than we the server gives up, so that its
	// answer still arrives.
	headRoom = 100 * time.Millisecond
	maxName  = 64
)

// As is the name under which requests are sent over NATS: at the end of each
// subject (dibs.rpc.start.floor7). A NATS server that lets each dialer publish
// under its own name alone keeps their idempotency keys apart. It has letters,
// digits, '-' and '_', at most 64 of them.
func As(name string) Option { return func(o *options) { o.as = name } }

// OverNATS returns a client that asks over nc, which the caller closes. Where
// several users share an account of the server, give the connection an inbox of
// its own ([nats.CustomInboxPrefix]).
//
// The connection should be made with nats.MaxReconnects(-1), so that it is there
// again however long NATS was away, and with nats.ReconnectBufSize(-1): else a
// request that was made in the moment when the connection broke is sent when it
// is back, when whoever asked may have given up.
func OverNATS(nc *nats.Conn, opts ...Option) (*Client, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.token != "" || o.http != nil {
		return nil, errors.New("dibs: APIKey and HTTPClient are for New: over NATS the connection says who we are")
	}
	if !isName(o.as) {
		return nil, fmt.Errorf("dibs: the name %q is not one: give at most %d letters, digits, '-' and '_'", o.as, maxName)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("dibs: %w", err)
	}
	t := &natsTransport{nc: nc, js: js}
	if o.as != "" {
		t.suffix = "." + o.as
	}
	return &Client{via: t}, nil
}

// isName reports whether requests may be sent under s; an empty one is none.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(s) <= maxName
}

// natsTransport carries requests over NATS.
type natsTransport struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	suffix string
}

func (t *natsTransport) close() {}

func (t *natsTransport) do(ctx context.Context, r *request) ([]byte, error) {
	if !t.nc.IsConnected() && !t.nc.IsClosed() {
		return nil, unreachable(nats.ErrDisconnected) // it would be sent later, when nobody wants it any more
	}
	msg := nats.NewMsg(rpcPrefix + r.verb + t.suffix)
	msg.Data = r.body
	if r.key != "" {
		msg.Header.Set("Idempotency-Key", r.key)
	}
	setTimeout(ctx, msg)
	before := t.nc.LastError()
	answer, err := t.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return nil, t.failure(err, t.denied(before, `"`+msg.Subject+`"`))
	}
	return answered(answer)
}

// setTimeout tells the server how long its answer is waited for.
func setTimeout(ctx context.Context, msg *nats.Msg) {
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		left = max(left-min(headRoom, left/2), time.Millisecond)
		msg.Header.Set("Dibs-Timeout", left.Round(time.Millisecond).String())
	}
}

// answered is the body of an answer, or what it refuses.
func answered(answer *nats.Msg) ([]byte, error) {
	if answer.Header.Get("Nats-Service-Error") == "" {
		return answer.Data, nil
	}
	e := parseRefusal(answer.Data)
	if e.Code == "" {
		e.Code, e.Sentence = CodeInternal, "The answer cannot be understood."
	}
	e.retryAfter = retryAfter(answer.Header.Get("Retry-After"))
	return nil, e
}

// failure tells a request that nobody got from one whose answer did not come.
func (t *natsTransport) failure(err, denied error) *Error {
	switch {
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return closed(err)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrReconnectBufExceeded):
		return unreachable(err)
	case errors.Is(err, nats.ErrMaxPayload):
		return &Error{Code: CodeTooLarge, Sentence: "The request is larger than the NATS server takes.", cause: err}
	case denied != nil:
		return &Error{Code: CodeForbidden, Sentence: "The NATS server does not let this user ask.", cause: denied}
	}
	return lost(err)
}

// denied finds out whether the server refused something since before, with about
// in what it says. It only says so aside, and lets the request wait for an answer.
func (t *natsTransport) denied(before error, about string) error {
	last := t.nc.LastError()
	if last == before { //nolint:errorlint // the very same error is an old one
		return nil
	}
	if errors.Is(last, nats.ErrPermissionViolation) && strings.Contains(last.Error(), about) {
		return last
	}
	return nil
}

func closed(err error) *Error {
	return &Error{Code: CodeUnavailable, Sentence: "The connection to NATS was closed.", cause: err, final: true}
}
