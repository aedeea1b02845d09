package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What a server refuses because it cannot now it is asked again, and nothing else.
func TestBenchAsksAgain(t *testing.T) {
	refusals := []string{`{"code":"unavailable"}`, `{"code":"overloaded"}`}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Method == http.MethodPost {
			http.Error(w, `{"code":"outcome_unknown"}`, http.StatusServiceUnavailable)
		} else if len(refusals) > 0 {
			http.Error(w, refusals[0], http.StatusServiceUnavailable)
			refusals = refusals[1:]
		}
	}))
	defer server.Close()
	s := &benchStage{url: server.URL, http: server.Client()}
	if err := s.ask(t.Context(), http.MethodDelete, "/api/clients/x", nil, nil); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	if err := s.ask(t.Context(), http.MethodPost, "/api/clients", nil, nil); err == nil || !strings.Contains(err.Error(), "503") || asked != 4 {
		t.Errorf("asked %d times in all: %v", asked, err)
	}
}
