package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/httpapi/web"
	"github.com/dibs-calls/dibs/transport/wire"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
)

// access says who may use a route.
type access uint8

const (
	signedIn   access = iota // anybody with a token
	adminsOnly               // administrators
	open                     // anybody
	unmetered                // anybody, and it takes no place in the engine
)

const (
	maxBody       = wire.MaxBody
	maxSignInBody = 8 << 10 // strangers may send this one
)

// route is one line of the table, with what serving it needs.
type route struct {
	method, pattern string
	access          access
	maxBody         int64 // 0: a body is not read
	timeout         time.Duration
	large           bool // answers are compressed; pages of lists are by themselves
	inMemory        bool // does not need the store, nor a timeout
	stream          bool // goes on until somebody ends it: no timeout, no place in the engine
	class           admission.Class
	change          bool // of calls: its action says which class
	probe           bool // asked for by machines, all the time: no spans
	unmatched       bool // stands for addresses that there are not
	handle          func(ctx context.Context, x *exchange) error

	seconds *byStatus
}

// table is everything that is served, /metrics, the page and the 404 aside.
func (a *API) table() []route {
	return []route{
		{method: "GET", pattern: "/healthz", access: unmetered, probe: true, handle: a.healthz},
		{method: "GET", pattern: "/readyz", access: unmetered, probe: true, handle: a.readyz},
		{method: "GET", pattern: "/openapi.json", access: unmetered, large: true, handle: a.openAPI},

		{method: "POST", pattern: "/api/auth/login", access: open, maxBody: maxSignInBody, class: admission.Part, handle: a.login},
		{method: "POST", pattern: "/api/auth/logout", class: admission.End, handle: a.logout},
		{method: "GET", pattern: "/api/auth/verify", inMemory: true, class: admission.Ask, handle: a.verify},

		{method: "GET", pattern: "/api/user-status", inMemory: true, class: admission.Ask, handle: a.listStatuses},
		{method: "PUT", pattern: "/api/user-status", change: true, maxBody: maxBody, handle: a.changeStatus},
		// The same for telephony servers whose HTTP client cannot PUT.
		{method: "POST", pattern: "/api/calls", change: true, maxBody: maxBody, handle: a.changeStatus},
		{method: "POST", pattern: "/api/user-status", access: adminsOnly, class: admission.End, timeout: a.CleanUpTimeout, handle: a.cleanUp},
		{method: "DELETE", pattern: "/api/user-status/{user_id}/call", access: adminsOnly, class: admission.End, maxBody: maxBody, handle: a.forceRelease},

		{method: "GET", pattern: "/api/events", inMemory: true, stream: true, handle: a.events},

		{method: "GET", pattern: "/api/clients", handle: a.listClients},
		{method: "POST", pattern: "/api/clients", maxBody: maxBody, handle: a.addClient},
		{method: "GET", pattern: "/api/clients/{id}", handle: a.getClient},
		{method: "PUT", pattern: "/api/clients/{id}", maxBody: maxBody, handle: a.updateClient},
		{method: "DELETE", pattern: "/api/clients/{id}", access: adminsOnly, handle: a.deleteClient},
		{method: "GET", pattern: "/api/clients/{id}/availability", class: admission.Ask, handle: a.availability},

		{method: "GET", pattern: "/api/call-logs", handle: a.listLogs},
		{method: "POST", pattern: "/api/call-logs", class: admission.End, maxBody: maxBody, handle: a.saveLog},
	}
}

// straight serves the addresses in which nothing is variable. It stands before the router,
// which copies every request to note in its context what is.
type straight struct {
	routes map[address]http.Handler
	others chi.Router
}

// address is what a request is for.
type address struct{ method, path string }

func (s *straight) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawPath == "" { // else it is written in an unusual way
		if h := s.routes[address{r.Method, r.URL.Path}]; h != nil {
			h.ServeHTTP(w, r)
			return
		}
	}
	s.others.ServeHTTP(w, r)
}

// router registers the table. There is no stack of middleware: what every
// request needs stands in serve, in one order.
func (a *API) router() (http.Handler, error) {
	// The ETag of a compressed answer differs, as strong ones must.
	compress, err := gzhttp.NewWrapper(gzhttp.EnableZstd(false), gzhttp.SuffixETag(gzipSuffix))
	if err != nil {
		return nil, err
	}
	mux := chi.NewRouter()
	all := &straight{routes: map[address]http.Handler{}, others: mux}
	mux.Use(middleware.GetHead)
	for _, rt := range a.table() {
		a.prepare(&rt)
		var h http.Handler = http.HandlerFunc(a.server(&rt))
		if rt.large {
			h = compress(h)
		}
		mux.Method(rt.method, rt.pattern, h) // also for who asks what an address takes
		if !strings.ContainsAny(rt.pattern, "{*") {
			all.routes[address{rt.method, rt.pattern}] = h
		}
	}
	mux.Method("GET", "/metrics", a.metricsHandler())

	lost := &route{method: "other", pattern: "unmatched", access: unmetered, unmatched: true, handle: func(_ context.Context, x *exchange) error {
		return nowhere(mux, x.r)
	}}
	a.prepare(lost)
	answer := a.server(lost)
	mux.NotFound(answer)
	mux.MethodNotAllowed(answer)

	noFile := &route{method: "GET", pattern: "/assets/*", access: unmetered, handle: func(context.Context, *exchange) error {
		return &problem{Code: messages.CodeNotFound}
	}}
	a.prepare(noFile)
	page, err := web.New(http.HandlerFunc(a.server(noFile)))
	if err != nil {
		return nil, err
	}
	mux.Method("GET", "/", page)
	mux.Method("GET", "/assets/*", page)
	return all, nil
}

func (a *API) prepare(rt *route) {
	if rt.timeout == 0 {
		rt.timeout = a.RequestTimeout
	}
	rt.seconds = &byStatus{all: a.requests.MustCurryWith(prometheus.Labels{"method": rt.method, "route": rt.pattern})}
}

// nowhere is the 404, or the 405 with the methods that the address takes.
func nowhere(mux *chi.Mux, r *http.Request) error {
	path := r.URL.RawPath
	if path == "" {
		path = r.URL.Path
	}
	var allowed []string
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		if mux.Match(chi.NewRouteContext(), method, path) {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return &problem{Code: messages.CodeNotFound}
	}
	return &problem{Code: messages.CodeMethodNotAllowed, Allow: strings.Join(allowed, ", ")}
}
