package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/spans/spanstest"
)

func newTracedWorld(t *testing.T) (*world, *spanstest.Recorder) {
	t.Helper()
	recorder := spanstest.New()
	return newWorld(t, func(c *Config) { c.Tracing = &recorder.Tracing }), recorder
}

// Every request of the table has one span, which says what the semantic
// conventions ask for.
func TestSpans(t *testing.T) {
	w, recorder := newTracedWorld(t)
	const none = messages.OK
	for _, tt := range []struct {
		who, method, path string
		body              any
		status            int
		code              messages.Code
		name, route       string
	}{
		{"Ana", "PUT", statusPath, start(w.xenia), 200, none, "PUT " + statusPath, statusPath},
		{"Ben", "PUT", statusPath, start(w.xenia), 409, messages.CodeClientBeingCalled, "PUT " + statusPath, statusPath},
		{"Ana", "POST", "/api/calls", start(w.yuri), 409, messages.CodeUserOnCall, "POST /api/calls", "/api/calls"},
		{"", "PUT", statusPath, start(w.xenia), 401, messages.CodeUnauthenticated, "PUT " + statusPath, statusPath},
		{"Ana", "PUT", statusPath, "{", 400, messages.CodeBadRequest, "PUT " + statusPath, statusPath},
		{"Ana", "GET", "/api/clients/" + w.xenia.String(), nil, 200, none, "GET /api/clients/{id}", "/api/clients/{id}"},
		{"Ana", "HEAD", "/api/clients/" + w.xenia.String(), nil, 200, none, "HEAD /api/clients/{id}", "/api/clients/{id}"},
		{"Ana", "GET", "/api/clients?search=Xenia", nil, 200, none, "GET /api/clients", "/api/clients"},
		{"Ana", "DELETE", "/api/clients/" + w.yuri.String(), nil, 403, messages.CodeForbidden, "DELETE /api/clients/{id}", "/api/clients/{id}"},
		{"Ana", "GET", "/nowhere", nil, 404, messages.CodeNotFound, "GET", ""},
		{"Ana", "PATCH", statusPath, nil, 405, messages.CodeMethodNotAllowed, "PATCH", ""},
		{"Ana", "GREET", statusPath, nil, 405, messages.CodeMethodNotAllowed, "HTTP", ""},
		{"", "GET", "/assets/nothing.js", nil, 404, messages.CodeNotFound, "GET /assets/*", "/assets/*"},
	} {
		w.do(tt.who, tt.method, tt.path, tt.body, "traceparent", spanstest.CallersParent).is(tt.status)
		taken := recorder.Take()
		if len(taken) != 1 {
			t.Fatalf("%s %s: %d spans: %+v", tt.method, tt.path, len(taken), taken)
		}
		attributes := map[string]string{"http.request.method": tt.method, "url.scheme": "http", "network.protocol.version": "1.1",
			"http.response.status_code": strconv.Itoa(tt.status)}
		if tt.name == "HTTP" {
			attributes["http.request.method"] = "_OTHER"
		}
		if tt.route != "" {
			attributes["http.route"], attributes["url.path"] = tt.route, tt.route
		}
		if tt.code != none {
			attributes["dibs.code"] = string(tt.code)
		}
		want := spanstest.Span{Name: tt.name, Kind: "server", Trace: spanstest.CallersTrace, ID: taken[0].ID,
			Parent: spanstest.CallersSpan, Status: "Unset", Attributes: attributes}
		if diff := cmp.Diff(want, taken[0]); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.method, tt.path, diff)
		}
	}
}

// What is nobody's request has no span.
func TestProbesHaveNoSpans(t *testing.T) {
	w, recorder := newTracedWorld(t)
	w.spec = nil // the page is not in it
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/"} {
		w.do("", "GET", path, nil).is(200)
	}
	if taken := recorder.Take(); len(taken) > 0 {
		t.Errorf("%+v", taken)
	}
}

// What is the server's fault is an error, and who reads the log finds the trace.
func TestSpansOfFailures(t *testing.T) {
	w, recorder := newTracedWorld(t)
	for _, tt := range []struct {
		change func()
		status int
		code   messages.Code
		log    string
	}{
		{func() { w.engine.says = messages.CodeUnavailable }, 503, messages.CodeUnavailable, "request refused"},
		{func() { w.engine.panics = true }, 500, messages.CodeInternal, "request failed"},
	} {
		tt.change()
		w.do("Ana", "PUT", statusPath, start(w.xenia), "traceparent", spanstest.CallersParent).is(tt.status)
		taken := recorder.Take()
		if len(taken) != 1 || taken[0].Status != "Error" || taken[0].Attributes["error.type"] != string(tt.code) || taken[0].Attributes["dibs.code"] != string(tt.code) {
			t.Errorf("%s: %+v", tt.code, taken)
		}
		if line := lineWith(w.logs.String(), tt.log); !strings.Contains(line, "trace_id="+spanstest.CallersTrace) {
			t.Errorf("%s: logged %q", tt.code, line)
		}
	}
	w.engine.panics = false
	w.do("Ana", "GET", "/api/auth/verify", nil).is(200)
	if span := recorder.Take()[0]; span.Parent != "0000000000000000" || !strings.Contains(lineWith(w.logs.String(), "/api/auth/verify"), "trace_id="+span.Trace) {
		t.Errorf("%+v is not in\n%s", span, w.logs)
	}
}

// Without tracing nobody's trace is believed.
func TestNoTraceWithoutTracing(t *testing.T) {
	w := newWorld(t)
	w.engine.panics = true
	w.do("Ana", "PUT", statusPath, start(w.xenia), "traceparent", spanstest.CallersParent).is(500)
	if line := lineWith(w.logs.String(), "request failed"); line == "" || strings.Contains(line, "trace_id") {
		t.Errorf("logged %q", line)
	}
}

func lineWith(text, what string) (last string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, what) {
			last = line
		}
	}
	return last
}

// breaking is an answer that nobody can be given.
type breaking struct{ *httptest.ResponseRecorder }

func (breaking) Write([]byte) (int, error) { panic("broken") }

// The span of an answer that is broken off ends as well.
func TestSpanOfABrokenAnswer(t *testing.T) {
	w, recorder := newTracedWorld(t)
	func() {
		defer func() {
			if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // a panic value
				t.Errorf("panicked with %v", v)
			}
		}()
		w.api.ServeHTTP(breaking{httptest.NewRecorder()}, w.request("Ana", "GET", "/api/auth/verify", nil))
	}()
	taken := recorder.Take()
	if len(taken) != 1 || taken[0].Status != "Error" || taken[0].Attributes["dibs.code"] != "internal" {
		t.Errorf("%+v", taken)
	}
}

// Nothing that somebody typed, or is called, is in a span.
func TestSpansSayNothingPersonal(t *testing.T) {
	w, recorder := newTracedWorld(t)
	secret := "Zebedee Quux"
	header := []string{"User-Agent", secret, "X-Forwarded-For", "203.0.113.99", "Referer", "http://" + w.password,
		"baggage", "user=zebedee", "traceparent", spanstest.CallersParent, "Idempotency-Key", "zebedee-key"}
	send := func(who, method, path string, body any) {
		t.Helper()
		recorderLen := len(recorder.Text())
		w.do(who, method, path, body, header...)
		if len(recorder.Text()) == recorderLen {
			t.Errorf("%s %s has no span", method, path)
		}
	}
	send("", "POST", "/api/auth/login", m{"email": w.ana.Email, "password": w.password})
	send("", "POST", "/api/auth/login", m{"email": "zebedee@example.com", "password": "zebedee-password"})
	send("Ana", "POST", "/api/clients", m{"name": secret, "phone": "+16502530099", "email": "zebedee@example.com", "notes": secret})
	send("Ana", "GET", "/api/clients?search=Zebedee", nil)
	send("Ana", "GET", "/api/clients/zebedee@example.com", nil)
	send("Ana", "GET", "/zebedee@example.com", nil)
	send("Dialer", "PUT", statusPath, m{"action": "start_call", "user_email": w.ana.Email, "client_phone": "+16502530000"})
	send("Ben", "PUT", statusPath, start(w.xenia))
	send("Ana", "PUT", statusPath, m{"action": "end_call", "notes": secret, "disposition": secret})
	send("Ana", "POST", "/api/call-logs", m{"client_id": w.xenia, "call_type": "outbound", "call_status": "completed", "notes": secret})
	send("Adele", "DELETE", statusPath+"/"+w.ana.ID.String()+"/call", m{"reason": secret})
	w.engine.panics = true
	send("Ana", "PUT", statusPath, start(w.xenia))
	said := strings.ToLower(recorder.Text())
	for _, what := range []string{"zebedee", "ana", "alvarez", "@", "650253", "203.0.113", w.password, w.token["Ana"], w.token["Dialer"], "secret detail"} {
		if at := strings.Index(said, strings.ToLower(what)); at >= 0 {
			t.Errorf("%q is in %q", what, said[max(0, at-60):min(len(said), at+60)])
		}
	}
}
