package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswer = 1 << 20 // bytes of an answer that are read
	// idlePerHost: a fleet's requests share connections instead of making new
	// ones, which the default of two would have them do.
	idlePerHost = 256
	// A connection that carries nothing any more is found out within the time of
	// a short lease: over HTTP/2 all requests share one, and giving up a request
	// does not close it.
	pingAfter  = 3 * time.Second
	pingWithin = 2 * time.Second
)

// Option is an option of [New] and [OverNATS].
type Option func(*options)

type options struct {
	token string
	http  *http.Client
	as    string
}

// APIKey is what `dibs token create` printed, or the token of a user who signed
// in. It is for HTTP; over NATS the connection says who we are.
func APIKey(key string) Option { return func(o *options) { o.token = key } }

// HTTPClient is used instead of one of our own: with certificates, a proxy, or
// tracing. It should allow as many idle connections as there are calls at a
// time, and its Timeout, if it has one, ends streams of live events too. Over
// HTTP/2 its transport should send pings, or it stays on a connection that is
// dead:
//
//	transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 3 * time.Second, PingTimeout: 2 * time.Second}
//
// Its CheckRedirect is not asked: no redirect is followed.
func HTTPClient(c *http.Client) Option { return func(o *options) { o.http = c } }

// New returns a client of the server at address, such as
// https://dibs.example.com. Nothing is sent yet. Redirects are not followed,
// because that would turn a start into a question: give the address where they
// lead to.
func New(address string, opts ...Option) (*Client, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	base, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("dibs: the address of the server: %w", err)
	}
	if (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("dibs: %q is not the address of a server: give one such as https://dibs.example.com", address)
	}
	switch {
	case o.as != "":
		return nil, errors.New("dibs: As is for OverNATS: over HTTP the API key says who we are")
	case !sendable(o.token): // it must not be said
		return nil, errors.New("dibs: the API key has a control character: is there a line break at its end?")
	}
	t := &httpTransport{base: strings.TrimRight(base.String(), "/"), token: o.token}
	if o.http != nil {
		t.client = *o.http
	} else {
		t.own = http.DefaultTransport.(*http.Transport).Clone()
		t.own.MaxIdleConns, t.own.MaxIdleConnsPerHost = 0, idlePerHost
		t.own.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingWithin}
		t.client.Transport = t.own
	}
	t.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{via: t}, nil
}

// httpTransport carries requests over HTTP.
type httpTransport struct {
	base   string
	token  string
	client http.Client
	own    *http.Transport // nil: it is the caller's
}

func (t *httpTransport) close() {
	if t.own != nil {
		t.own.CloseIdleConnections()
	}
}

func (t *httpTransport) do(ctx context.Context, r *request) ([]byte, error) {
	method, path, payload := http.MethodPut, "/api/user-status", r.body
	if r.verb == "availability" {
		method, path, payload = http.MethodGet, "/api/clients/"+url.PathEscape(r.client)+"/availability", nil
	}
	req, err := t.request(ctx, method, path, payload)
	if err != nil {
		return nil, err
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	resp, err := t.send(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, lost(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp, body)
	}
	return body, nil
}

func (t *httpTransport) request(ctx context.Context, method, path string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, t.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, &Error{Code: CodeBadRequest, Sentence: "The request cannot be made.", cause: err}
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if t.token != "" {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	return req, nil
}

// send returns the answer, whatever it says.
func (t *httpTransport) send(req *http.Request) (*http.Response, error) {
	for name, values := range req.Header {
		if !sendable(strings.Join(values, "")) { // or it would look as if the server were away
			return nil, badRequest("%s has a control character, which no header may have.", name)
		}
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, connectionError(err)
	}
	return resp, nil
}

// sendable reports whether s can be the value of a header.
func sendable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// connectionError tells a request that never left from an answer that did not
// come, and what may pass from what somebody has to set right.
func connectionError(err error) *Error {
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate), errors.Is(err, http.ErrSchemeMismatch):
		e := unreachable(err)
		e.final = true
		return e
	case errors.As(err, &dial) && dial.Op == "dial":
		return unreachable(err)
	}
	return lost(err)
}

// refusal reads an answer that is not a success.
func refusal(resp *http.Response, body []byte) *Error {
	e := parseRefusal(body)
	switch code := codeOf(resp.StatusCode); {
	case e.Code == "": // something in between, which does not know what became of it
		e.Code, e.Sentence = code, "The server answered "+resp.Status+"."
		if to := resp.Header.Get("Location"); code == CodeNotFound && to != "" {
			e.Sentence = "The server answered " + resp.Status + ", to " + to + ": redirects are not followed."
		}
	case !e.Code.known() && code.temporary(): // its code is not one of ours
		e.Code = code
	}
	e.retryAfter = retryAfter(resp.Header.Get("Retry-After"))
	return e
}

// codeOf is what a status means of which nothing more is known.
func codeOf(status int) Code {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return CodeOutcomeUnknown
	case http.StatusUnauthorized:
		return CodeUnauthenticated
	case http.StatusForbidden:
		return CodeForbidden
	case http.StatusNotFound:
		return CodeNotFound
	case http.StatusTooManyRequests:
		return CodeRateLimited
	}
	if status/100 == 3 {
		return CodeNotFound
	}
	return CodeInternal
}

// parseRefusal reads the body that every refusal of dibs has. Without a code it
// is not of dibs.
func parseRefusal(body []byte) *Error {
	var in struct {
		Error  string
		Code   Code
		Caller *Caller
		Call   *Call
	}
	if json.Unmarshal(body, &in) != nil {
		return &Error{}
	}
	return &Error{Code: in.Code, Sentence: in.Error, Caller: in.Caller, Call: in.Call}
}

// retryAfter reads the header of that name; zero: there is none.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 16); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
