package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What says 200 and is not about what was asked for is no success.
func TestStrangeAnswers(t *testing.T) {
	call := Call{ID: "c", UserID: "u", ClientID: "x", Token: 3}
	start := func(c *Client) error { return second(c.Start(t.Context(), "u", "x")) }
	renew := func(c *Client) error { return second(c.Renew(t.Context(), call, 0)) }
	end := func(c *Client) error { return c.End(t.Context(), call, Outcome{}) }
	ask := func(c *Client) error { return second(c.Availability(t.Context(), "x")) }
	for _, tt := range []struct {
		what string
		do   func(c *Client) error
		says string
		ok   bool
	}{
		{"start", start, aCall, true},
		{"start", start, `{"call":{"id":"c","user_id":"U","client_id":"X","token":1}}`, true}, // ids in capitals
		{"start", start, `{"users":[]}`, false},
		{"start", start, `{}`, false},
		{"start", start, `null`, false},
		{"start", start, `[]`, false},
		{"start", start, `{"call":null}`, false},
		{"start", start, `{"call":{"user_id":"u","client_id":"x","token":3}}`, false},
		{"start", start, `{"call":{"id":"c","user_id":"u","client_id":"x"}}`, false},
		{"start", start, `{"call":{"id":"c","user_id":"v","client_id":"x","token":3}}`, false},
		{"start", start, `{"call":{"id":"c","user_id":"u","client_id":"y","token":3}}`, false},
		{"renew", renew, aCall, true},
		{"renew", renew, `{"message":"ok"}`, false},
		{"renew", renew, `{"call":{"id":"d","user_id":"u","client_id":"x","token":3}}`, false},
		{"renew", renew, `{"call":{"id":"c","user_id":"u","client_id":"x","token":4}}`, false},
		{"end", end, `{"user":{"id":"u"}}`, true},
		{"end", end, `{"users":[]}`, false},
		{"end", end, `<html>`, false},
		{"availability", ask, `{"available":true,"caller":null}`, true},
		{"availability", ask, `{"users":[]}`, false},
	} {
		err := tt.do(&Client{via: &script{says: []any{tt.says}}})
		if tt.ok != (err == nil) || (!tt.ok && !errors.Is(err, CodeInternal)) {
			t.Errorf("%s: %s is answered with %v", tt.what, tt.says, err)
		}
	}
}

// A holder whose renewals are answered with something else does not believe in
// the claim for longer than the lease.
func TestStrangeRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{says: []any{aCall, `{"users":[]}`}}
		h, err := (&Client{via: s}).Hold(t.Context(), "u", "x", Lease(10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		<-h.Context().Done()
		if took := time.Since(begin); took > 10*time.Second || !errors.Is(context.Cause(h.Context()), CodeCallOver) {
			t.Errorf("after %s: %v", took, context.Cause(h.Context()))
		}
		if err := h.End(t.Context(), Outcome{}); !errors.Is(err, CodeInternal) {
			t.Errorf("end: %v", err)
		}
	})
}

// A proxy that sends us elsewhere would make a question of a start: Go follows
// with GET, and the list of users is no call.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Int64
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		followed.Add(1)
		_, _ = w.Write([]byte(aCall))
	}))
	defer there.Close()
	callers := &http.Client{Transport: &http.Transport{}}
	defer callers.CloseIdleConnections()
	for _, status := range []int{301, 302, 303, 307, 308} {
		here := httptest.NewServer(http.RedirectHandler(there.URL+"/api/user-status", status))
		for _, opts := range [][]Option{{APIKey("k")}, {APIKey("k"), HTTPClient(callers)}} {
			c, err := New(here.URL, opts...)
			if err != nil {
				t.Fatal(err)
			}
			if call, err := c.Start(t.Context(), "u", "x"); !errors.Is(err, CodeNotFound) {
				t.Errorf("%d: %+v, %v", status, call, err)
			}
			for _, err := range c.Watch(t.Context()) {
				if !errors.Is(err, CodeNotFound) {
					t.Errorf("%d: watching: %v", status, err)
				}
			}
			c.Close()
		}
		here.Close()
	}
	if followed.Load() > 0 || callers.CheckRedirect != nil {
		t.Errorf("%d were followed; the caller's client was changed: %v", followed.Load(), callers.CheckRedirect != nil)
	}
}
