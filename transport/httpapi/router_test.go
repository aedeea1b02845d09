package httpapi

import (
	"strings"
	"testing"
)

// An address is found the same way whoever looks for it.
func TestStraightRoutes(t *testing.T) {
	w := newWorld(t)
	all := w.api.handler.(*straight)
	for _, rt := range w.api.table() {
		is, want := all.routes[address{rt.method, rt.pattern}] != nil, !strings.Contains(rt.pattern, "{")
		if is != want {
			t.Errorf("%s %s: found straight away: %v", rt.method, rt.pattern, is)
		}
	}
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/healthz", 200},
		{"HEAD", "/healthz", 200},
		{"POST", "/healthz", 405},
		{"get", "/healthz", 405},
		{"GET", "/healthz/", 404},
		{"GET", "//healthz", 404},
		{"GET", "/health%7A", 404},
		{"GET", "/api/user-status", 200},
		{"GET", "/api/user%2Dstatus", 404},
		{"PATCH", "/api/user-status", 405},
	} {
		w.do("Ana", tt.method, tt.path, nil).is(tt.status)
	}
}
