package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// request is what a caller asks for.
type request struct {
	method, path string
	body         []byte
	key          string // idempotency key; empty: none
}

// reply is those fields of an answer that are looked at.
type reply struct {
	Status    int `json:"-"`
	Code      messages.Code
	Error     string
	Call      *messages.Call
	Available *bool
	Caller    *messages.Caller
	Users     []messages.UserStatus
}

// outcome is how much of an answer there was.
type outcome uint8

const (
	answered outcome = iota
	nothing          // certainly nothing was done
	lost             // it may have been done, or will be
)

func (o outcome) String() string { return [...]string{"answered", "nothing done", "lost"}[o] }

// api is how callers reach the nodes of a deployment. It is safe for concurrent
// use.
type api struct {
	urls   []string // of the nodes
	token  string
	client *http.Client
}

// newAPI makes a way to all nodes. Whoever waits longer than limit gives up.
func newAPI(t testing.TB, d *deployment, token string, limit time.Duration) *api {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 64, IdleConnTimeout: 20 * time.Second,
		DialContext: (&net.Dialer{Timeout: limit}).DialContext,
	}
	t.Cleanup(transport.CloseIdleConnections)
	a := &api{token: token, client: &http.Client{Transport: transport, Timeout: limit}}
	for _, n := range d.nodes {
		a.urls = append(a.urls, n.url())
	}
	return a
}

// try sends a request to one node. It reports what nobody may ever be told, a
// defect of the server or something that is no answer, as an error.
func (a *api) try(ctx context.Context, node int, r request) (reply, outcome, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, a.urls[node]+r.path, bytes.NewReader(r.body))
	if err != nil {
		return reply{}, nothing, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return reply{}, lostBy(err), nil
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, lostBy(err), nil
	}
	out := reply{Status: resp.StatusCode}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, lost, fmt.Errorf("%s %s: status %d, and not JSON: %.200q", r.method, r.path, out.Status, raw)
	}
	what, err := out.outcome()
	if err != nil {
		err = fmt.Errorf("%s %s %s: status %d: %s", r.method, r.path, r.body, out.Status, raw)
	}
	return out, what, err
}

// lostBy says what is known of a request after the failure of its connection:
// where there was none yet, nothing can have been done.
func lostBy(err error) outcome {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return nothing
	}
	return lost
}

// outcome says what an answer means for whoever must know whether it was done.
func (r *reply) outcome() (outcome, error) {
	switch {
	case r.Status == http.StatusOK, r.Status == http.StatusConflict:
		return answered, nil
	case r.Code == messages.CodeUnavailable, r.Code == messages.CodeOverloaded:
		return nothing, nil
	case r.Code == messages.CodeOutcomeUnknown:
		return lost, nil
	}
	return lost, errors.New("not an answer that anybody should get")
}

// change is the body of PUT /api/user-status.
type change struct {
	Action   string `json:"action"`
	UserID   string `json:"user_id,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	CallID   string `json:"call_id,omitempty"`
	Token    int64  `json:"token,omitempty"`
	Lease    int64  `json:"lease_seconds,omitempty"`
}

func (c change) request(key string) request {
	body, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers always can
	}
	return request{http.MethodPut, "/api/user-status", body, key}
}
