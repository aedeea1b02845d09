package browser

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
)

// gate stands between browsers and a server, as networks and proxies do, and can
// do what these do when they fail. It also lets a test change the times that the
// page goes by (its config.js), so that nobody waits for minutes.
type gate struct {
	t     *testing.T
	url   string
	addr  string
	proxy *httputil.ReverseProxy
	times map[string]string

	mu     sync.Mutex
	http   *http.Server
	served chan struct{} // closed when http has ended
	now    *passage
}

// passage is how the gate behaves until it is told otherwise.
type passage struct {
	answer  answer        // nil: everything goes to the server
	silence bool          // what the passage before let through neither flows nor ends
	over    chan struct{} // closed when another passage has begun
	next    *passage      // set before over is closed
}

// answer answers a request in place of the server, or returns false.
type answer func(w http.ResponseWriter, r *http.Request, over <-chan struct{}) bool

// gate opens a gate in front of the server. times are values of config.js by
// their names.
func (w *world) gate(times map[string]string) *gate {
	w.t.Helper()
	target, err := url.Parse(w.server.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	g := &gate{t: w.t, times: times, now: &passage{over: make(chan struct{})}}
	g.proxy = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // or the page would seem to come from elsewhere
			if isConfig(r.In) {
				r.Out.Header.Del("Accept-Encoding")
			}
		},
		ModifyResponse: g.modify,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	g.open()
	w.t.Cleanup(func() {
		g.close()
		transport.CloseIdleConnections()
	})
	return g
}

// open listens, at the address of before if there was one.
func (g *gate) open() {
	g.t.Helper()
	addr := g.addr
	if addr == "" {
		addr = harness.FreeAddr(g.t) // which is still ours while the gate is closed
	}
	l, err := (&net.ListenConfig{}).Listen(g.t.Context(), "tcp", addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.addr, g.url = l.Addr().String(), "http://"+l.Addr().String()
	g.http, g.served = &http.Server{Handler: http.HandlerFunc(g.serve)}, make(chan struct{}) //nolint:gosec // loopback only
	go func(s *http.Server, served chan struct{}) {
		defer close(served)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			g.t.Errorf("the gate: %v", err)
		}
	}(g.http, g.served)
}

// close refuses connections from now on, and cuts those that there are.
func (g *gate) close() {
	_ = g.http.Close()
	<-g.served
}

// set begins another passage.
func (g *gate) set(p *passage) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.over = make(chan struct{})
	g.now.next = p
	close(g.now.over)
	g.now = p
}

// pass lets everything through.
func (g *gate) pass() { g.set(&passage{}) }

// answer answers what a wants to; streams that flow are cut.
func (g *gate) answer(a answer) { g.set(&passage{answer: a}) }

// isPoll is whether a page asks who is on a call.
func isPoll(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/api/user-status"
}

// die behaves as a network that is gone without anybody having been told: what
// flowed neither flows nor ends, and what is asked now gets no answer as long as
// that lasts.
func (g *gate) die() {
	g.set(&passage{silence: true, answer: func(_ http.ResponseWriter, r *http.Request, over <-chan struct{}) bool {
		select {
		case <-over:
		case <-r.Context().Done():
		}
		return false
	}})
}

// hold keeps requests that match from the server until release is called, and
// says on held when there is one. Others are answered by others, or the server.
func (g *gate) hold(matches func(r *http.Request) bool, others ...answer) (held <-chan struct{}, release func()) {
	arrived, released := make(chan struct{}, 100), make(chan struct{})
	g.answer(func(w http.ResponseWriter, r *http.Request, over <-chan struct{}) bool {
		if matches(r) {
			arrived <- struct{}{}
			select {
			case <-released:
			case <-r.Context().Done():
			}
			return false
		}
		return slices.ContainsFunc(others, func(a answer) bool { return a(w, r, over) })
	})
	return arrived, func() { close(released) }
}

func (g *gate) serve(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	p := g.now
	g.mu.Unlock()
	if p.answer != nil && p.answer(w, r, p.over) {
		return
	}
	g.mu.Lock()
	p = g.now // it may have been kept for long
	g.mu.Unlock()
	ctx, cut := context.WithCancel(r.Context())
	defer cut()
	if r.URL.Path == "/api/events" {
		ended := make(chan struct{})
		defer close(ended)
		go func() {
			select {
			case <-p.over:
				if !p.next.silence {
					cut()
				}
			case <-ended:
			}
		}()
	}
	g.proxy.ServeHTTP(w, r.WithContext(context.WithValue(ctx, passageKey{}, p)))
}

type passageKey struct{}

// modify changes what the server answered, on its way to the browser.
func (g *gate) modify(r *http.Response) error {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
		ctx := r.Request.Context()
		r.Body = &tap{ReadCloser: r.Body, ctx: ctx, passage: ctx.Value(passageKey{}).(*passage)}
	}
	if !isConfig(r.Request) || len(g.times) == 0 {
		return nil
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	for name, value := range g.times {
		line := regexp.MustCompile(`(?m)^export const ` + name + ` = .*;$`)
		if !line.Match(text) {
			g.t.Errorf("config.js has no %s", name)
		}
		text = line.ReplaceAll(text, []byte("export const "+name+" = "+value+";"))
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Del("Content-Length")
	return nil
}

func isConfig(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/js/config.js") }

// tap is a stream that falls silent with the network.
type tap struct {
	io.ReadCloser
	ctx     context.Context //nolint:containedctx // of the request whose body it is
	passage *passage
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	select {
	case <-t.passage.over:
		if t.passage.next.silence {
			<-t.ctx.Done()
			return 0, t.ctx.Err()
		}
	default:
	}
	return n, err
}
