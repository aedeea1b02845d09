package client_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/client"
)

// fakeServer is a dibs of one client, as examples need it.
type fakeServer struct {
	mu    sync.Mutex
	token int64
	call  *client.Call
}

func newServer() *httptest.Server { return httptest.NewServer(&fakeServer{}) }

func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/availability"):
		reply(w, http.StatusOK, client.Availability{Available: s.call == nil, Caller: s.caller()})
	case r.URL.Path == "/api/events":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, `id: e:1
event: snapshot
data: {"calls":[{"call":{"id":"call-1"},"user":{"first_name":"Ana"}}]}

id: e:2
event: call.started
data: {"call":{"id":"call-2"},"user":{"first_name":"Ben"}}

id: e:3
event: call.ended
data: {"call":{"id":"call-2"},"user":{"first_name":"Ben"},"reason":"completed"}

`)
	default:
		s.change(w, r)
	}
}

func (s *fakeServer) caller() *client.Caller {
	if s.call == nil {
		return nil
	}
	return &client.Caller{ID: s.call.UserID, Name: "Ana Alvarez", CallStartedAt: s.call.StartedAt}
}

func (s *fakeServer) change(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Action   string
		UserID   string `json:"user_id"`
		Email    string `json:"user_email"`
		ClientID string `json:"client_id"`
		Phone    string `json:"client_phone"`
		Token    int64
		Lease    int64 `json:"lease_seconds"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		reply(w, http.StatusBadRequest, map[string]any{"error": err.Error(), "code": "bad_request"})
		return
	}
	if in.Email != "" {
		in.UserID = ana
	}
	if in.Phone != "" {
		in.ClientID = xenia
	}
	switch {
	case in.Action == "start_call" && s.call != nil:
		reply(w, http.StatusConflict, map[string]any{"code": "client_being_called", "caller": s.caller(),
			"error": "This client is already being called by Ana Alvarez. Please try again later."})
		return
	case in.Action == "start_call":
		s.token++
		s.call = &client.Call{ID: "call", UserID: in.UserID, ClientID: in.ClientID, StartedAt: time.Now(), Token: s.token}
	case in.Action == "renew_call" && (s.call == nil || s.call.Token != in.Token):
		reply(w, http.StatusConflict, map[string]any{"error": "This call is over.", "code": "call_over"})
		return
	case in.Action == "end_call":
		s.call = nil
	}
	reply(w, http.StatusOK, map[string]any{"call": s.call, "user": client.User{ID: in.UserID}})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
