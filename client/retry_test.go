package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// script is a transport that says one thing after another.
type script struct {
	says []any // an *Error, or the body of an answer
	mu   sync.Mutex
	seen []request
	at   []time.Time
}

func (s *script) do(_ context.Context, r *request) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.at = append(s.seen, *r), append(s.at, time.Now())
	next := s.says[min(len(s.seen), len(s.says))-1]
	if e, ok := next.(*Error); ok {
		return nil, e
	}
	return []byte(next.(string)), nil
}

func (s *script) watch(context.Context, string, func(string) bool, func(Event) bool) error {
	return nil
}
func (s *script) close() {}

const aCall = `{"call":{"id":"c","user_id":"u","client_id":"x","token":3}}`

// Whatever came in between, it is the same request with the same key.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{says: []any{
			&Error{Code: CodeOutcomeUnknown}, &Error{Code: CodeUnavailable}, &Error{Code: CodeOverloaded, retryAfter: 5 * time.Second},
			&Error{Code: CodeRateLimited}, aCall,
		}}
		call, err := (&Client{via: s}).Start(t.Context(), "u", "x")
		if err != nil || call.Token != 3 || len(s.seen) != 5 {
			t.Fatalf("%+v, %v, after %d tries", call, err, len(s.seen))
		}
		for _, r := range s.seen {
			if len(r.key) < 20 || r.key != s.seen[0].key || string(r.body) != string(s.seen[0].body) {
				t.Errorf("%q %s, first %q %s", r.key, r.body, s.seen[0].key, s.seen[0].body)
			}
		}
		if waited := s.at[3].Sub(s.at[2]); waited < 5*time.Second || waited > 8*time.Second {
			t.Errorf("asked again after %s instead of 5 to 7.5 s and a moment", waited)
		}
		again := &script{says: []any{aCall}}
		if _, err := (&Client{via: again}).Start(t.Context(), "u", "x"); err != nil || again.seen[0].key == s.seen[0].key {
			t.Errorf("another start: %v, key %q", err, again.seen[0].key)
		}
	})
}

// Nothing can have been done by a question that nobody answered, and why it was not
// answered is what the tries before the last one were told.
func TestGivingUpAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nobody := errors.New("nobody listens")
		s := &script{says: []any{unreachable(nobody), unreachable(nobody), lost(context.DeadlineExceeded)}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/4)
		defer cancel()
		_, err := (&Client{via: s}).Availability(ctx, "x")
		if !errors.Is(err, CodeUnavailable) || errors.Is(err, CodeOutcomeUnknown) ||
			!errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, nobody) {
			t.Errorf("after %d tries: %v", len(s.seen), err)
		}
	})
}

func TestGivingUp(t *testing.T) {
	for _, tt := range []struct {
		says  []any
		limit time.Duration // of the context; 0: none
		want  Code
		least int // tries
		most  time.Duration
	}{
		{[]any{&Error{Code: CodeUnavailable}}, time.Second, CodeUnavailable, 3, time.Second},
		{[]any{&Error{Code: CodeUnavailable}}, 0, CodeUnavailable, 10, patience},
		// The first try may have been carried out, whatever the last one was told.
		{[]any{&Error{Code: CodeOutcomeUnknown}, &Error{Code: CodeUnavailable}}, time.Second, CodeOutcomeUnknown, 3, time.Second},
		{[]any{&Error{Code: CodeRateLimited, retryAfter: time.Hour}}, time.Minute, CodeRateLimited, 1, 0},
		{[]any{&Error{Code: CodeUserOnCall, Call: &Call{ID: "other"}}}, 0, CodeUserOnCall, 1, 0},
		{[]any{&Error{Code: CodeInternal}}, 0, CodeInternal, 1, 0},
		{[]any{&Error{Code: "something new"}}, 0, "something new", 1, 0},
		{[]any{"not JSON"}, 0, CodeInternal, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, ctx := &script{says: tt.says}, t.Context()
			if tt.limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.limit)
				defer cancel()
			}
			begin := time.Now()
			_, err := (&Client{via: s}).Start(ctx, "u", "x")
			var e *Error
			if !errors.Is(err, tt.want) || !errors.As(err, &e) || e.Code != tt.want || len(s.seen) < tt.least || time.Since(begin) > tt.most {
				t.Errorf("%v: %v after %d tries and %s", tt.says, err, len(s.seen), time.Since(begin))
			}
			if tt.want.temporary() && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v does not say that time ran out", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &script{says: []any{aCall}}
	if _, err := (&Client{via: s}).Start(ctx, "u", "x"); !errors.Is(err, context.Canceled) || len(s.seen) > 0 {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// A deadline of five seconds leaves room for a second try, and for saying with
// which key a third one would find out.
func TestDeadlinesLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		s.lose = "start"
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		call, err := (&Client{via: s}).Start(ctx, "ana", "xenia", Lease(time.Minute))
		if err != nil || call.ID != "call" || s.starts != 1 {
			t.Fatalf("%+v, %v, %d starts", call, err, s.starts)
		}
		s.down = true
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var e *Error
		if _, err = (&Client{via: s}).Start(short, "ana", "xenia"); !errors.As(err, &e) || e.Code != CodeOutcomeUnknown || len(e.IdempotencyKey) < 20 {
			t.Errorf("%v, key %q", err, e.IdempotencyKey)
		}
		if _, err = (&Client{via: s}).Start(short, "ana", "xenia", IdempotencyKey("mine")); !errors.As(err, &e) || e.IdempotencyKey != "mine" {
			t.Errorf("%v, key %q", err, e.IdempotencyKey)
		}
	})
}

// What cannot be right is not sent.
func TestWhatIsNotSent(t *testing.T) {
	s := &script{says: []any{aCall}}
	c := &Client{via: s}
	call := Call{ID: "c", UserID: "u", Token: 3}
	for what, err := range map[string]error{
		"an end of any call of the user": c.End(t.Context(), Call{UserID: "u"}, Outcome{}),
		"a renewal without an id":        second(c.Renew(t.Context(), Call{UserID: "u", Token: 3}, 0)),
		"a renewal without a token":      second(c.Renew(t.Context(), Call{UserID: "u", ID: "c"}, 0)),
		"an empty key":                   second(c.Start(t.Context(), "u", "x", IdempotencyKey(""))),
		"a key with a line break":        second(c.Start(t.Context(), "u", "x", IdempotencyKey("k\n"))),
		"a key with letters of others":   second(c.Start(t.Context(), "u", "x", IdempotencyKey("é"))),
		"a long key":                     second(c.Hold(t.Context(), "u", "x", IdempotencyKey(strings.Repeat("k", 256)))),
	} {
		if !errors.Is(err, CodeBadRequest) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(s.seen) > 0 {
		t.Errorf("%d requests were sent", len(s.seen))
	}
	if _, err := c.Start(t.Context(), "u", "x", IdempotencyKey(strings.Repeat("k", 255))); err != nil {
		t.Error(err)
	}
	if _, err := c.Renew(t.Context(), call, 0); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestLeasesAreWholeSeconds(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0: 0, time.Second: time.Second, 1500 * time.Millisecond: 2 * time.Second, time.Nanosecond: time.Second, time.Hour: time.Hour,
	} {
		if got := started([]StartOption{Lease(d)}).lease; got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}

// The codes are those of the server.
func TestCodes(t *testing.T) {
	ours := []Code{CodeBadRequest, CodeTooLarge, CodeUnauthenticated, CodeForbidden, CodeNotFound, CodeMethodNotAllowed,
		CodeUserNotFound, CodeClientNotFound, CodeUserOnCall, CodeClientBeingCalled, CodeCallOver, CodeEmailTaken, CodeKeyReused,
		CodeRateLimited, CodeOverloaded, CodeUnavailable, CodeOutcomeUnknown, CodeInternal}
	if len(ours) != len(messages.Codes) {
		t.Fatalf("%d codes, the server has %d", len(ours), len(messages.Codes))
	}
	for i, theirs := range messages.Codes {
		if string(ours[i]) != string(theirs) {
			t.Errorf("%q, the server says %q", ours[i], theirs)
		}
	}
}

// What a server, and what stands before it, may answer.
func TestHTTPAnswers(t *testing.T) {
	for _, tt := range []struct {
		status     int
		body       string
		retryAfter string
		want       Code
		wait       time.Duration
	}{
		{200, aCall, "", "", 0},
		{409, `{"error":"Ana is calling.","code":"client_being_called","caller":{"id":"a","name":"Ana"}}`, "", CodeClientBeingCalled, 0},
		{503, `{"error":"Busy.","code":"overloaded"}`, "3", CodeOverloaded, 3 * time.Second},
		{502, "<html>bad gateway", "", CodeOutcomeUnknown, 0},
		{504, "", "", CodeOutcomeUnknown, 0},
		{429, "slow down", "7", CodeRateLimited, 7 * time.Second},
		{404, "<html>", "x", CodeNotFound, 0},
		{401, "{}", "-1", CodeUnauthenticated, 0},
		{403, "[]", "99999999", CodeForbidden, 0},
		{500, "null", "", CodeInternal, 0},
		{302, "", "", CodeNotFound, 0},
		// Something in between has codes of its own; those of a newer server stay.
		{503, `{"error":"no upstream","code":"upstream_gone"}`, "1", CodeOutcomeUnknown, time.Second},
		{429, `{"error":"slow","code":"throttled"}`, "", CodeRateLimited, 0},
		{409, `{"error":"A new one.","code":"something_new"}`, "", "something_new", 0},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPut || r.URL.Path != "/api/user-status" || r.Header.Get("Authorization") != "Bearer key" || r.Header.Get("Idempotency-Key") != "k" {
				t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
			}
			w.Header().Set("Retry-After", tt.retryAfter)
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}))
		c, err := New(server.URL+"/", APIKey("key"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.via.do(t.Context(), newRequest("start", change{UserID: "u"}, "k"))
		var e *Error
		switch {
		case tt.want == "" && err != nil, tt.want != "" && !errors.Is(err, tt.want):
			t.Errorf("%d %s: %v, want %s", tt.status, tt.body, err, tt.want)
		case errors.As(err, &e) && e.retryAfter != tt.wait:
			t.Errorf("%d: wait %s, want %s", tt.status, e.retryAfter, tt.wait)
		case tt.want == CodeClientBeingCalled && (e.Caller == nil || e.Caller.Name != "Ana" || !strings.Contains(e.Error(), "Ana is calling.")):
			t.Errorf("%+v", e)
		}
		c.Close()
		server.Close()
	}
}

func TestHTTPConnections(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	c, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.via.do(t.Context(), newRequest("end", change{}, "k")); !errors.Is(err, CodeOutcomeUnknown) {
		t.Errorf("an answer that was cut off: %v", err)
	}
	server.Close()
	if _, err := c.via.do(t.Context(), newRequest("end", change{}, "k")); !errors.Is(err, CodeUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
	c.Close()
	for _, address := range []string{"", "dibs.example.com", "nats://x", "http://", "http://%zz"} {
		if _, err := New(address); err == nil {
			t.Errorf("%q is taken for an address", address)
		}
	}
}

// A refusal that does not say what came of the attempt before leaves that open.
func TestRefusedAfterALostAnswer(t *testing.T) {
	for _, tt := range []struct {
		last Code
		open bool
	}{
		{CodeUnauthenticated, true}, {CodeForbidden, true}, {CodeInternal, true}, {CodeNotFound, true}, {CodeClientNotFound, true},
		// The server says this of the key, so of every attempt.
		{CodeUserOnCall, false}, {CodeClientBeingCalled, false}, {CodeKeyReused, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{says: []any{&Error{Code: CodeOutcomeUnknown}, &Error{Code: tt.last}}}
			_, err := (&Client{via: s}).Start(t.Context(), "u", "x")
			if !errors.Is(err, tt.last) || errors.Is(err, CodeOutcomeUnknown) != tt.open {
				t.Errorf("%s: %v", tt.last, err)
			}
		})
	}
}
