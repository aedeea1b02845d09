package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// logBuffer keeps what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// world is an API over fakes, with people and clients: admin, ana, ben, a
// service key, and the clients xenia, yuri and zoe.
type world struct {
	t      testing.TB
	api    *API
	store  *fakeStore
	engine *fakeEngine
	clock  *clock
	logs   *logBuffer
	ready  error
	spec   routers.Router // nil: exchanges are not held to the document

	admin, ana, ben  messages.User
	token            map[string]string // by first name; "Dialer" is the service's
	xenia, yuri, zoe messages.ClientID
	password         string
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}, logs: &logBuffer{},
		token: map[string]string{}, password: "demo-password"}
	w.store = newFakeStore(w.clock.Now)
	w.engine = newFakeEngine(w.store)
	passwords, err := auth.NewPasswords(auth.Params{MemoryKiB: 64, Passes: 1, Threads: 1}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := passwords.Hash(t.Context(), w.password)
	if err != nil {
		t.Fatal(err)
	}
	w.admin = w.person("Adele", "Admin", messages.RoleAdmin, hash)
	w.ana = w.person("Ana", "Alvarez", messages.RoleUser, hash)
	w.ben = w.person("Ben", "Baker", messages.RoleUser, hash)
	w.key("Dialer", messages.RoleService, 0)
	w.xenia, w.yuri, w.zoe = w.client("Xenia"), w.client("Yuri"), w.client("Zoe")

	cfg := Config{Calls: w.engine, Store: w.store, Passwords: passwords, Metrics: prometheus.NewRegistry(),
		Ready: func(context.Context) error { return w.ready }, Now: w.clock.Now, Region: "US",
		Log: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&cfg)
	}
	if w.api, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if w.spec, err = specRouter(); err != nil {
		t.Fatal(err)
	}
	return w
}

// specRouter is made once for all tests, which only look things up in it.
var specRouter = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(openAPIDocument)
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

func (w *world) person(first, last string, role messages.Role, hash string) messages.User {
	u := messages.User{ID: messages.UserID{UUID: uuid.New()}, FirstName: first, LastName: last,
		Email: strings.ToLower(first) + "@example.com", Role: role}
	w.store.accounts[u.ID] = messages.Account{User: u, PasswordHash: hash}
	token, digest := auth.NewSession()
	w.store.tokens[digest] = messages.Principal{User: u, ExpiresAt: w.clock.Now().Add(time.Hour)}
	w.token[first] = token
	return u
}

func (w *world) key(name string, role messages.Role, limit float64) {
	token, digest := auth.NewAPIKey()
	w.store.tokens[digest] = messages.Principal{KeyID: uuid.New(), RateLimit: limit,
		User: messages.User{FirstName: name, Role: role}}
	w.token[name] = token
}

func (w *world) client(name string) messages.ClientID {
	id := messages.ClientID{UUID: uuid.New()}
	w.store.clients[id] = messages.Client{ID: id, Name: name, Phone: "+16502530000",
		Email: strings.ToLower(name) + "@example.org", Attributes: json.RawMessage("{}"),
		CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()}
	return id
}

// reply is an answer as a test looks at it.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// request makes a request of somebody; who is a first name, or "" for nobody.
func (w *world) request(who, method, path string, body any, header ...string) *http.Request {
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	case []byte:
		in = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			panic(err) // fuzz targets have a T of their own
		}
		in = bytes.NewReader(raw)
	}
	r := httptest.NewRequest(method, path, in)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+w.token[who])
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// do makes a request, and holds it and its answer to the document.
func (w *world) do(who, method, path string, body any, header ...string) reply {
	w.t.Helper()
	return w.send(w.request(who, method, path, body, header...))
}

func (w *world) send(r *http.Request) reply {
	w.t.Helper()
	var raw []byte
	if r.Body != nil {
		raw, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(raw))
	}
	recorder := httptest.NewRecorder()
	w.api.ServeHTTP(recorder, r)
	out := reply{w.t, recorder.Code, recorder.Header(), recorder.Body.Bytes()}
	if w.spec != nil {
		r.Body = io.NopCloser(bytes.NewReader(raw))
		w.holdToSpec(r, out)
	}
	if out.status >= 400 {
		out.checkError()
	}
	return out
}

// holdToSpec fails the test if the document does not allow the answer, or does
// not allow a request that was served.
func (w *world) holdToSpec(r *http.Request, out reply) {
	w.t.Helper()
	route, params, err := w.spec.FindRoute(r)
	if err != nil {
		if out.status != http.StatusNotFound && out.status != http.StatusMethodNotAllowed && r.Method != http.MethodHead {
			w.t.Errorf("%s %s: status %d, but %v", r.Method, r.URL.Path, out.status, err)
		}
		return
	}
	options := &openapi3filter.Options{IncludeResponseStatus: true,
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	if out.status < 300 {
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			w.t.Errorf("%s %s was served, but the document does not allow it: %v", r.Method, r.URL, err)
		}
	}
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: out.status,
		Header: out.header, Options: options}
	if out.header.Get("Content-Encoding") != "" {
		return
	}
	answer.SetBodyBytes(out.body)
	if err := openapi3filter.ValidateResponse(r.Context(), answer); err != nil {
		w.t.Errorf("%s %s: %d %s\nis not in the document: %v", r.Method, r.URL, out.status, out.body, err)
	}
}

// checkError holds every refusal to the same form.
func (r reply) checkError() {
	r.t.Helper()
	if len(r.body) == 0 {
		return // HEAD
	}
	var e struct{ Error, Code string }
	if err := json.Unmarshal(r.body, &e); err != nil || !strings.HasSuffix(e.Error, ".") || e.Code == "" {
		r.t.Errorf("status %d: %q is not a sentence and a code: %v", r.status, r.body, err)
	}
	if wants := r.status == 429 || r.status == 503; wants != (r.header.Get("Retry-After") != "") {
		r.t.Errorf("status %d with Retry-After %q", r.status, r.header.Get("Retry-After"))
	}
}

// is fails the test unless the answer has this status, and this code when it
// is a refusal.
func (r reply) is(status int, code ...messages.Code) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if len(code) > 0 && r.str("code") != string(code[0]) {
		r.t.Fatalf("code %q, want %q: %s", r.str("code"), code[0], r.body)
	}
	return r
}

// at returns what stands at a path such as "user.is_on_call" or "users.0.id".
func (r reply) at(path string) any {
	r.t.Helper()
	var v any
	if err := json.Unmarshal(r.body, &v); err != nil {
		r.t.Fatalf("%q: %v", r.body, err)
	}
	for _, name := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(in) {
				r.t.Fatalf("no %s in %s", path, r.body)
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (r reply) str(path string) string {
	r.t.Helper()
	return fmt.Sprint(r.at(path))
}

// want is is for other goroutines than the test's.
func (r reply) want(status int) {
	r.t.Helper()
	if r.status != status {
		r.t.Errorf("status %d, want %d: %s", r.status, status, r.body)
	}
}

// has fails the test unless the answer says these things: path, value, path…
func (r reply) has(pairs ...any) reply {
	r.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		path := pairs[i].(string)
		if got, want := r.str(path), fmt.Sprint(pairs[i+1]); got != want {
			r.t.Errorf("%s is %q, want %q: %s", path, got, want, r.body)
		}
	}
	return r
}

// m is a JSON object.
type m = map[string]any

func start(client messages.ClientID) m { return m{"action": "start_call", "client_id": client} }
