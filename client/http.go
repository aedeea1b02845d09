package client

import (
	"bytes"
	"context"
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
// time, and its Timeout, if it has one, ends streams of live events too.
func HTTPClient(c *http.Client) Option { return func(o *options) { o.http = c } }

// New returns a client of the server at address, such as
// https://dibs.example.com. Nothing is sent yet.
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
	t := &httpTransport{base: strings.TrimRight(base.String(), "/"), token: o.token, client: o.http}
	if t.client == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxIdleConns, own.MaxIdleConnsPerHost = 0, idlePerHost
		t.client, t.own = &http.Client{Transport: own}, own
	}
	return &Client{via: t}, nil
}

// httpTransport carries requests over HTTP.
type httpTransport struct {
	base   string
	token  string
	client *http.Client
	own    *http.Transport // nil: the client is the caller's
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
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, connectionError(err)
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

// connectionError tells a request that never left from an answer that did not
// come.
func connectionError(err error) *Error {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return unreachable(err)
	}
	return lost(err)
}

// refusal reads an answer that is not a success.
func refusal(resp *http.Response, body []byte) *Error {
	e := parseRefusal(body)
	if e.Code == "" { // something in between, which does not know what became of it
		e.Sentence = "The server answered " + resp.Status + "."
		e.Code = CodeInternal
		switch resp.StatusCode {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			e.Code = CodeOutcomeUnknown
		case http.StatusUnauthorized:
			e.Code = CodeUnauthenticated
		case http.StatusForbidden:
			e.Code = CodeForbidden
		case http.StatusNotFound:
			e.Code = CodeNotFound
		case http.StatusTooManyRequests:
			e.Code = CodeRateLimited
		}
	}
	e.retryAfter = retryAfter(resp.Header.Get("Retry-After"))
	return e
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
