package httpapi

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/prometheus/client_golang/prometheus"
)

func TestHealthAndReadiness(t *testing.T) {
	w := newWorld(t)
	w.do("", "GET", "/healthz", nil).is(200).has("status", "ok")
	w.do("", "GET", "/readyz", nil).is(200).has("status", "ready")
	w.ready = errors.New("dial tcp 10.1.2.3: connection refused")
	w.do("", "GET", "/readyz", nil).is(200) // asked a moment ago
	w.clock.advance(readyTTL)
	got := w.do("", "GET", "/readyz", nil).is(503, messages.CodeUnavailable)
	if strings.Contains(string(got.body), "10.1.2.3") || !strings.Contains(w.logs.String(), "10.1.2.3") {
		t.Errorf("%s; the cause belongs in the log alone", got.body)
	}
	w.ready = nil
	w.clock.advance(readyTTL)
	w.do("", "GET", "/readyz", nil).is(200)
	w.do("", "GET", "/healthz", nil).is(200)
}

func TestUnknownAddressesAndMethods(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/nothing", "/assets/", "/assets/nothing", "/api", "/api/nothing", "/api/user-status/", "/api//clients", "/api/clients/x/y",
		"/..%2f..%2fetc/passwd", "/api/%00"} {
		w.do("", "GET", path, nil).is(404, messages.CodeNotFound)
		w.do("Ana", "DELETE", path, nil)
	}
	for path, allow := range map[string]string{"/healthz": "GET", statusPath: "GET, POST, PUT",
		"/api/clients/" + w.xenia.String(): "GET, PUT, DELETE"} {
		got := w.do("", "PATCH", path, nil).is(405, messages.CodeMethodNotAllowed)
		if !sameSet(got.header.Get("Allow"), allow) {
			t.Errorf("%s: Allow %q, want %q", path, got.header.Get("Allow"), allow)
		}
	}
	w.do("", "BREW", "/healthz", nil).is(405)
	w.do("", "OPTIONS", statusPath, nil).is(405)
}

func sameSet(a, b string) bool {
	as, bs := strings.Split(a, ", "), strings.Split(b, ", ")
	for _, x := range as {
		if !strings.Contains(b, x) {
			return false
		}
	}
	return len(as) == len(bs)
}

func TestSecurityHeader(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/healthz", "/nothing", statusPath} {
		got := w.do("", "GET", path, nil)
		for key, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "Content-Type": "application/json; charset=utf-8"} {
			if got.header.Get(key) != want {
				t.Errorf("%s: %s is %q", path, key, got.header.Get(key))
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "GET", "/api/clients/"+w.xenia.String(), nil).is(200)
	w.do("", "GET", "/api/clients/"+w.yuri.String(), nil).is(401)
	for i := range 50 {
		w.do("", "GET", fmt.Sprintf("/scan/%d", i), nil).is(404)
		w.do("", fmt.Sprintf("METHOD%d", i), "/healthz", nil).is(405)
	}
	text := string(w.do("", "GET", "/metrics", nil).is(200).body)
	for _, line := range []string{
		`dibs_http_request_duration_seconds_count{code="200",method="GET",route="/api/clients/{id}"} 1`,
		`dibs_http_request_duration_seconds_count{code="401",method="GET",route="/api/clients/{id}"} 1`,
		`dibs_http_request_duration_seconds_count{code="404",method="other",route="unmatched"} 50`,
		`dibs_http_request_duration_seconds_count{code="405",method="other",route="unmatched"} 50`,
		`dibs_http_requests_in_flight 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	if strings.Contains(text, "scan") || strings.Contains(text, "METHOD") {
		t.Error("labels that strangers choose")
	}
}

func TestOverload(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxInFlight = 2 })
	w.do("Ana", "GET", "/api/auth/verify", nil).is(200)
	w.store.hold = make(chan struct{})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { w.do("Ana", "GET", "/api/clients", nil).want(200) })
	}
	waitFor(t, func() bool { return w.api.Admission.InFlight() == 2 })
	w.do("Ana", "PUT", statusPath, start(w.xenia)).is(503, messages.CodeOverloaded)
	after := w.do("Ben", "PUT", statusPath, start(w.xenia)).is(503, messages.CodeOverloaded).header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err != nil || seconds < 1 || seconds > 3 {
		t.Errorf("Retry-After %q", after)
	}
	w.do("", "GET", "/healthz", nil).is(200)
	close(w.store.hold)
	all.Wait()
	w.store.mu.Lock()
	w.store.hold = nil
	w.store.mu.Unlock()
	w.do("Ana", "PUT", statusPath, start(w.xenia)).is(200)
}

// When time runs out, a read did nothing, and of a write it is not known.
func TestTimeouts(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.RequestTimeout = 30 * time.Millisecond })
	w.do("Ana", "GET", "/api/auth/verify", nil).is(200)
	w.do("Adele", "GET", "/api/auth/verify", nil).is(200)
	w.store.hold = make(chan struct{})
	w.do("Ana", "GET", "/api/clients", nil).is(503, messages.CodeUnavailable)
	w.do("Ana", "POST", "/api/clients", m{"name": "x"}).is(503, messages.CodeOutcomeUnknown)
	w.do("Adele", "DELETE", "/api/clients/"+w.xenia.String(), nil).is(503, messages.CodeOutcomeUnknown)
	w.do("Adele", "PUT", statusPath, m{"action": "end_call", "user_id": w.ben.ID}).is(503, messages.CodeUnavailable)
	w.do("Ben", "PUT", statusPath, start(w.xenia)).is(503, messages.CodeUnavailable)
	w.do("", "POST", "/api/auth/login", login("ana@example.com", w.password)).is(503)
	close(w.store.hold)
}

func TestPanicAfterTheAnswerBegan(t *testing.T) {
	w := newWorld(t)
	rt := &route{method: "GET", pattern: "/broken", access: unmetered, handle: func(_ context.Context, x *exchange) error {
		x.writeHeader(http.StatusOK)
		panic("halfway")
	}}
	w.api.prepare(rt)
	defer func() {
		if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // a panic value
			t.Errorf("recovered %v: the connection is not broken off", v)
		}
		if !strings.Contains(w.logs.String(), "halfway") {
			t.Error("not logged")
		}
	}()
	w.api.serve(rt, httptest.NewRecorder(), w.request("", "GET", "/broken", nil))
}

func TestPanicsInTheStore(t *testing.T) {
	w := newWorld(t)
	w.store.tokens = nil // reading is fine; adding a session panics
	w.do("", "POST", "/api/auth/login", login("ana@example.com", w.password)).is(500, messages.CodeInternal)
	if w.api.Admission.InFlight() != 0 {
		t.Error("the panic kept its place in the engine")
	}
}

func TestCompression(t *testing.T) {
	w := newWorld(t)
	for i := range 100 {
		w.person(fmt.Sprintf("Person%d", i), "Of Many", messages.RoleUser, "")
	}
	plain := w.do("Ana", "GET", statusPath, nil).is(200)
	packed := w.do("Ana", "GET", statusPath, nil, "Accept-Encoding", "br, gzip").is(200)
	if packed.header.Get("Content-Encoding") != "gzip" || !strings.Contains(packed.header.Get("Vary"), "Accept-Encoding") {
		t.Fatalf("header %v", packed.header)
	}
	r, err := gzip.NewReader(strings.NewReader(string(packed.body)))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r); err != nil || string(body) != string(plain.body) || len(packed.body) >= len(body) {
		t.Errorf("%d bytes for %d: %v", len(packed.body), len(plain.body), err)
	}
	tag := packed.header.Get("Etag")
	if tag == plain.header.Get("Etag") {
		t.Error("two representations, one strong ETag")
	}
	same := w.do("Ana", "GET", statusPath, nil, "Accept-Encoding", "gzip", "If-None-Match", tag).is(304)
	if same.header.Get("Etag") != tag {
		t.Errorf("304 with ETag %s, asked for %s", same.header.Get("Etag"), tag)
	}
	if got := w.do("Ana", "GET", statusPath, nil, "Accept-Encoding", "gzip;q=0").is(200); got.header.Get("Content-Encoding") != "" {
		t.Error("compressed for somebody who said no")
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
	w := newWorld(t)
	cfg := w.api.Config
	if _, err := New(cfg); err == nil {
		t.Error("the same metrics were registered twice")
	}
	cfg.Metrics, cfg.Region = prometheus.NewRegistry(), "Narnia"
	if _, err := New(cfg); err == nil {
		t.Error("an unknown region was accepted")
	}
}

// endless is a body that never ends.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += int64(len(p))
	return len(p), nil
}

func TestLargeBodies(t *testing.T) {
	w := newWorld(t)
	w.spec = nil
	for _, tt := range []struct {
		who   string
		says  int64
		reads int64 // at most
		want  int
	}{
		{"Ana", 1 << 30, 0, 413}, {"Ana", maxBody + 1, 0, 413}, {"Ana", -1, maxBody + 4096, 413},
		{"", 1 << 30, 0, 401}, {"", -1, 0, 401},
	} {
		body := &endless{}
		r := httptest.NewRequest("PUT", statusPath, body)
		r.ContentLength = tt.says
		if tt.who != "" {
			r.Header.Set("Authorization", "Bearer "+w.token[tt.who])
		}
		recorder := httptest.NewRecorder()
		w.api.ServeHTTP(recorder, r)
		if recorder.Code != tt.want || body.read > tt.reads {
			t.Errorf("%q, %d bytes: %d after reading %d", tt.who, tt.says, recorder.Code, body.read)
		}
	}
	w.do("Ana", "PUT", statusPath, `{"action":"end_call"`+strings.Repeat(" ", maxBody-21)+"}").is(200)
}
