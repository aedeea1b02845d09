package httpapi

import (
	"testing"

	"github.com/dibs-calls/dibs/admission"
)

// TestClasses: who goes before others, and whose time is looked at.
func TestClasses(t *testing.T) {
	w := newWorld(t)
	routes := map[string]*route{}
	for _, rt := range w.api.table() {
		routes[rt.method+" "+rt.pattern] = &rt
	}
	for _, tt := range []struct {
		route, body string
		class       admission.Class
		paced       bool
	}{
		{"PUT /api/user-status", `{"action":"start_call"}`, admission.Start, true},
		{"POST /api/calls", `{"action":"start_call"}`, admission.Start, true},
		{"PUT /api/user-status", `{"action":"end_call"}`, admission.End, true},
		{"PUT /api/user-status", `{"action":"renew_call"}`, admission.End, false},
		{"PUT /api/user-status", `nonsense`, admission.Start, true},
		{"GET /api/user-status", "", admission.Ask, false},
		{"GET /api/clients/{id}/availability", "", admission.Ask, false},
		{"DELETE /api/user-status/{user_id}/call", "", admission.End, false},
		{"POST /api/call-logs", "", admission.End, false},
		{"POST /api/auth/logout", "", admission.End, false},
		{"GET /api/clients", "", admission.Aside, false},
		{"POST /api/auth/login", "", admission.Part, false},
	} {
		x := &exchange{route: routes[tt.route], body: []byte(tt.body)}
		if class, paced := x.class(); class != tt.class || paced != tt.paced {
			t.Errorf("%s %s: class %d, paced %v", tt.route, tt.body, class, paced)
		}
	}
}
