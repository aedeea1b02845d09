package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Client speaks the HTTP API for one caller. It is safe for concurrent use.
type Client struct {
	base     string
	token    string
	http     *http.Client
	patience time.Duration // see Patient
}

// Reply is an answer of the API: the status, and those fields of its body that
// tests look at.
type Reply struct {
	Status     int         `json:"-"`
	Header     http.Header `json:"-"`
	Raw        []byte      `json:"-"`
	Error      string
	Code       messages.Code
	Message    string
	Token      string // of a sign-in
	User       *messages.UserStatus
	Users      []messages.UserStatus
	Clients    []messages.Client
	TotalCount int
	Call       *messages.Call
	CallLog    *messages.CallLog
	Available  *bool
	Caller     *messages.Caller
}

// Change is the body of PUT /api/user-status. A field left out is not sent.
type Change struct {
	Action       string `json:"action"`
	ClientID     string `json:"client_id,omitempty"`
	UserID       string `json:"user_id,omitempty"`
	CallID       string `json:"call_id,omitempty"`
	Token        int64  `json:"token,omitempty"`
	LeaseSeconds int    `json:"lease_seconds,omitempty"`
	Disposition  string `json:"disposition,omitempty"`
	Notes        string `json:"notes,omitempty"`
}

// NewClient returns a client of the server at base that shows token (none, if
// it is empty). Its connections are closed at the end of the test.
func NewClient(tb testing.TB, base, token string) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	tb.Cleanup(transport.CloseIdleConnections)
	return &Client{base: base, token: token, http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

// As returns a client of the same server for another token; the two share
// their connections.
func (c *Client) As(token string) *Client {
	as := *c
	as.token = token
	return &as
}

// Patient returns a client that asks again, for so long at most, while the server says
// that it cannot reach its store: it does when a disk stands still for seconds, and has
// done nothing then. Without any patience that is an answer like others.
func (c *Client) Patient(limit time.Duration) *Client {
	patient := *c
	patient.patience = limit
	return &patient
}

// Do sends a request, with body as JSON unless it is nil. Its error is that of
// the connection: an answer of any status is none.
func (c *Client) Do(ctx context.Context, method, path string, body any) (Reply, error) {
	for end := time.Now().Add(c.patience); ; {
		r, err := c.once(ctx, method, path, body)
		away := err == nil && r.Status == http.StatusServiceUnavailable && r.Code == messages.CodeUnavailable
		if !away || !time.Now().Before(end) {
			return r, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return r, err
		}
	}
}

func (c *Client) once(ctx context.Context, method, path string, body any) (Reply, error) {
	var payload io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return Reply{}, err
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return Reply{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.send(req)
}

func (c *Client) send(req *http.Request) (Reply, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	r := Reply{Status: resp.StatusCode, Header: resp.Header}
	if r.Raw, err = io.ReadAll(resp.Body); err != nil {
		return Reply{}, err
	}
	if err := json.Unmarshal(r.Raw, &r); err != nil {
		return r, fmt.Errorf("%s %s: status %d, and not JSON: %.200q", req.Method, req.URL.Path, r.Status, r.Raw)
	}
	return r, nil
}

// Put changes a call status.
func (c *Client) Put(ctx context.Context, change Change) (Reply, error) {
	return c.Do(ctx, http.MethodPut, "/api/user-status", change)
}

// Must is the reply of a request that must reach the server and be answered
// with this status.
func Must(tb testing.TB, status int) func(Reply, error) Reply {
	tb.Helper()
	return func(r Reply, err error) Reply {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		if r.Status != status {
			tb.Fatalf("status %d, want %d: %s", r.Status, status, r.Raw)
		}
		return r
	}
}

// Login signs somebody in and returns their client, which shares connections
// with c.
func (c *Client) Login(tb testing.TB, email, password string) *Client {
	tb.Helper()
	body := map[string]string{"email": email, "password": password}
	r := Must(tb, http.StatusOK)(c.Do(tb.Context(), http.MethodPost, "/api/auth/login", body))
	if r.Token == "" {
		tb.Fatalf("signing in as %s: no token in %s", email, r.Raw)
	}
	return c.As(r.Token)
}

// AllClients returns every client, page by page.
func (c *Client) AllClients(tb testing.TB) []messages.Client {
	tb.Helper()
	var all []messages.Client
	for page := 1; ; page++ {
		path := fmt.Sprintf("/api/clients?limit=200&page=%d", page)
		r := Must(tb, http.StatusOK)(c.Do(tb.Context(), http.MethodGet, path, nil))
		all = append(all, r.Clients...)
		if len(r.Clients) == 0 || len(all) >= r.TotalCount {
			return all
		}
	}
}

// Statuses returns all active users, or those on a call.
func (c *Client) Statuses(tb testing.TB, onCall bool) []messages.UserStatus {
	tb.Helper()
	path := "/api/user-status"
	if onCall {
		path += "?on_call=true"
	}
	return Must(tb, http.StatusOK)(c.Do(tb.Context(), http.MethodGet, path, nil)).Users
}

// Availability asks whether a client can be called.
func (c *Client) Availability(tb testing.TB, id messages.ClientID) Reply {
	tb.Helper()
	return Must(tb, http.StatusOK)(c.Do(tb.Context(), http.MethodGet, "/api/clients/"+id.String()+"/availability", nil))
}
