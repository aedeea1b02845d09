package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// countingListener counts the connections that are open.
type countingListener struct {
	net.Listener
	open, most atomic.Int64
}

type countedConn struct {
	net.Conn
	once   sync.Once
	closed func()
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.most.Store(max(l.most.Load(), l.open.Add(1)))
	return &countedConn{Conn: c, closed: func() { l.open.Add(-1) }}, nil
}

func (c *countedConn) Close() error {
	c.once.Do(c.closed)
	return c.Conn.Close()
}

// running is a server on a port of its own.
type running struct {
	*Server
	*http.Client
	url    string
	ln     *countingListener
	served chan error
}

func serve(t *testing.T, w *world, limits Limits) *running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	r := &running{Server: NewServer(w.api, limits, discardLog()), Client: &http.Client{Transport: transport},
		url: "http://" + ln.Addr().String(), ln: &countingListener{Listener: ln}, served: make(chan error, 1)}
	go func() { r.served <- r.Serve(r.ln) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = r.Shutdown(ctx)
	})
	return r
}

func (r *running) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, _ = io.WriteString(c, text)
	return c
}

// Many who send their header slowly keep no more than MaxConns connections
// open, and others out no longer than ReadHeaderTimeout.
func TestSlowHeaders(t *testing.T) {
	const conns = 8
	r := serve(t, newWorld(t), Limits{MaxConns: conns, ReadHeaderTimeout: 300 * time.Millisecond})
	for range 5 * conns {
		r.dial(t, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	}
	waitFor(t, func() bool { return r.ln.open.Load() == conns })
	got, err := r.Get(r.url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = got.Body.Close()
	if got.StatusCode != 200 || r.ln.most.Load() > conns {
		t.Errorf("status %d, %d connections at once", got.StatusCode, r.ln.most.Load())
	}
}

func TestLargeHeader(t *testing.T) {
	r := serve(t, newWorld(t), Limits{MaxHeaderBytes: 8 << 10})
	c := r.dial(t, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	got, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = got.Body.Close()
	if got.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", got.StatusCode)
	}
}

// A gibibyte is refused before it is sent, and the connection closed.
func TestGibibyteOverTheWire(t *testing.T) {
	w := newWorld(t)
	r := serve(t, w, Limits{})
	c := r.dial(t, fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n{",
		statusPath, w.token["Ana"], 1<<30))
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	all, err := io.ReadAll(c) // until the server closes
	if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 413 ") || !strings.Contains(string(all), `"code":"too_large"`) {
		t.Errorf("%q, %v", all, err)
	}
}

func TestSlowBody(t *testing.T) {
	w := newWorld(t)
	r := serve(t, w, Limits{ReadTimeout: 100 * time.Millisecond})
	c := r.dial(t, fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{",
		statusPath, w.token["Ana"]))
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	all, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 400 ") || !strings.Contains(string(all), string(messages.CodeBadRequest)) {
		t.Errorf("%q, %v", all, err)
	}
}

func TestShutdownWaits(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "GET", "/api/auth/verify", nil).is(200)
	r := serve(t, w, Limits{})
	w.store.hold = make(chan struct{})
	answered := make(chan int, 1)
	go func() { answered <- r.ask(w, "Ana") }()
	waitFor(t, func() bool { return w.api.Admission.InFlight() == 1 })
	stopped := make(chan error, 1)
	go func() { stopped <- r.Shutdown(context.Background()) }()
	if err := <-r.served; err != nil { // it stopped accepting
		t.Error(err)
	}
	if _, err := net.Dial("tcp", r.ln.Addr().String()); err == nil {
		t.Error("it still accepts")
	}
	select {
	case err := <-stopped:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	close(w.store.hold)
	if status := <-answered; status != 200 {
		t.Errorf("status %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := r.Shutdown(context.Background()); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestShutdownBreaksOff(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "GET", "/api/auth/verify", nil).is(200)
	r := serve(t, w, Limits{})
	w.store.hold = make(chan struct{})
	answered := make(chan int, 1)
	go func() { answered <- r.ask(w, "Ana") }()
	waitFor(t, func() bool { return w.api.Admission.InFlight() == 1 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Shutdown(ctx); err == nil {
		t.Error("it says that all were served")
	}
	if status := <-answered; status != 0 {
		t.Errorf("status %d", status)
	}
	close(w.store.hold)
}

// ask lists the statuses; 0 is no answer.
func (r *running) ask(w *world, who string) int {
	request, err := http.NewRequest("GET", r.url+statusPath, nil)
	if err != nil {
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+w.token[who])
	got, err := r.Do(request)
	if err != nil {
		return 0
	}
	defer got.Body.Close()
	return got.StatusCode
}
