package httpapi

import (
	"testing"

	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
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
		{"PUT /api/user-status", `{"action":"nonsense"}`, admission.Start, true},
		{"PUT /api/user-status", `{"action":"start_call","x":"end_call"}`, admission.Start, true},
		{"PUT /api/user-status", `{"action":"start_call","notes":"renew_call"}`, admission.Start, true},
		{"PUT /api/user-status", `{"action":"end\u005fcall"}`, admission.End, true},
		{"PUT /api/user-status", `{"action":"end_call","action":"start_call"}`, admission.Start, true},
		{"GET /api/user-status", "", admission.Ask, false},
		{"GET /api/clients/{id}/availability", "", admission.Ask, false},
		{"DELETE /api/user-status/{user_id}/call", "", admission.End, false},
		{"POST /api/call-logs", "", admission.End, false},
		{"POST /api/auth/logout", "", admission.End, false},
		{"GET /api/clients", "", admission.Aside, false},
		{"POST /api/auth/login", "", admission.Part, false},
	} {
		x := &exchange{route: routes[tt.route], change: new(wire.Change)}
		if x.route.change {
			if err := wire.Decode([]byte(tt.body), x.change); err != nil {
				t.Fatal(err)
			}
		}
		if class, paced := x.class(); class != tt.class || paced != tt.paced {
			t.Errorf("%s %s: class %d, paced %v", tt.route, tt.body, class, paced)
		}
	}
}

// TestAnEndIsWhatItsActionSays: a start does not get an end's place by a field that
// nobody reads.
func TestAnEndIsWhatItsActionSays(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Admission = admission.New(admission.Options{Fixed: 4}) })
	w.do("Ben", "PUT", statusPath, start(w.yuri)).is(200)
	for full := false; !full; {
		_, ok := w.api.Admission.Enter(admission.Start, 1)
		full = !ok
	}
	for range 5 { // and whoever asks little has a little more room
		w.api.Admission.Enter(admission.Start, 2)
	}
	sly := start(w.xenia)
	sly["x"], sly["notes"] = "end_call", "renew_call"
	w.do("Ana", "PUT", statusPath, sly).is(503, messages.CodeOverloaded)
	w.do("Ben", "PUT", statusPath, m{"action": "end_call"}).is(200)
}
