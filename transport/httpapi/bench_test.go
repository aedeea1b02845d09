package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
)

// instant is an engine that has its answers ready: what is left of a request is
// the cost of this package.
type instant struct {
	Calls
	start, end messages.Answer
	look       messages.Availability
}

func (e *instant) StartCall(ctx context.Context, _ messages.StartCall) messages.Answer {
	if e.start.Code == messages.OK { // the engine refuses without waiting
		ctx.(messages.Patient).Ends() // as it does to wait for an answer
	}
	return e.start
}

func (e *instant) EndCall(ctx context.Context, _ messages.EndCall) messages.Answer {
	ctx.(messages.Patient).Ends()
	return e.end
}

func (e *instant) Availability(context.Context, messages.ClientID) messages.Availability {
	return e.look
}

// hotRequest is a request of which a fleet makes thousands a second.
type hotRequest struct {
	name   string
	api    *API
	r      *http.Request
	body   string
	status int
}

// hotRequests are they, as a dialer makes them: a service, for a user.
func hotRequests(t testing.TB) []hotRequest {
	w := newWorld(t, func(c *Config) { c.Log = discardLog(); c.Now = time.Now })
	now := time.Now().UTC()
	caller := &messages.Caller{ID: w.ben.ID, Name: w.ben.Name(), CallStartedAt: now}
	call := &messages.Call{ID: messages.CallID{UUID: uuid.New()}, ClientID: w.xenia, UserID: w.ana.ID,
		StartedAt: now, LeaseExpiresAt: now.Add(messages.DefaultLease), Token: 7}
	free := w.over(&instant{start: messages.Answer{Call: call}, end: messages.Answer{Ended: call}})
	held := w.over(&instant{start: messages.Answer{Code: messages.CodeClientBeingCalled, Caller: caller},
		look: messages.Availability{Caller: caller}})
	start := `{"action":"start_call","client_id":"` + w.xenia.String() + `","user_id":"` + w.ana.ID.String() + `"}`
	end := `{"action":"end_call","user_id":"` + w.ana.ID.String() + `"}`
	look := "/api/clients/" + w.xenia.String() + "/availability"
	_, tag, err := held.Statuses.StatusBody(false, false)
	if err != nil {
		t.Fatal(err)
	}
	held.Statuses = fixedTag(tag)
	return []hotRequest{
		{"start", free, w.request("Dialer", "PUT", statusPath, nil), start, 200},
		{"end", free, w.request("Dialer", "PUT", statusPath, nil), end, 200},
		{"refused", held, w.request("Dialer", "PUT", statusPath, nil), start, 409},
		{"availability", held, w.request("Dialer", "GET", look, nil), "", 200},
		{"unchanged", held, w.request("Dialer", "GET", statusPath, nil, "If-None-Match", `"`+tag+`"`), "", 304},
	}
}

// fixedTag is a list that never changes.
type fixedTag string

func (f fixedTag) StatusTag(bool) (string, error)               { return string(f), nil }
func (f fixedTag) StatusBody(_, _ bool) ([]byte, string, error) { return []byte("{}"), string(f), nil }

// over is the API of w with another engine behind it.
func (w *world) over(engine Calls) *API {
	w.t.Helper()
	cfg := w.api.Config
	cfg.Calls, cfg.Metrics = engine, prometheus.NewRegistry()
	api, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return api
}

// sink takes an answer as net/http does, without a connection.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { s.bytes += len(b); return len(b), nil }

// replay is a request that can be served again and again.
type replay struct {
	request *http.Request
	text    string
	body    strings.Reader
	out     sink
}

func newReplay(r *http.Request, body string) *replay {
	p := &replay{request: r, text: body, out: sink{header: http.Header{}}}
	if body != "" {
		r.Body, r.ContentLength = io.NopCloser(&p.body), int64(len(body))
	}
	return p
}

func (p *replay) serve(h http.Handler) {
	p.body.Reset(p.text)
	clear(p.out.header)
	h.ServeHTTP(&p.out, p.request)
}

// BenchmarkHandler is what this package makes of a request, net/http aside.
func BenchmarkHandler(b *testing.B) {
	for _, hot := range hotRequests(b) {
		b.Run(hot.name, func(b *testing.B) {
			p := newReplay(hot.r, hot.body)
			b.ReportAllocs()
			for b.Loop() {
				p.serve(hot.api)
			}
			if p.out.status != hot.status {
				b.Fatalf("status %d", p.out.status)
			}
		})
	}
	b.Run("empty", func(b *testing.B) {
		empty := chi.NewRouter()
		empty.Put(statusPath, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
		p := newReplay(httptest.NewRequest("PUT", statusPath, nil), "")
		b.ReportAllocs()
		for b.Loop() {
			p.serve(empty)
		}
	})
}
