package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
)

const eventsPath = "/api/events"

// fakeLive sends what tests put into next to the newest reader.
type fakeLive struct {
	next   chan []byte
	refuse error

	mu   sync.Mutex
	ids  []string // Last-Event-ID of each reader
	ends []error  // why each stream ended
}

func newFakeLive() *fakeLive { return &fakeLive{next: make(chan []byte)} }

func (f *fakeLive) Stream(ctx context.Context, lastEventID string, send func([]byte) error) (err error) {
	f.mu.Lock()
	f.ids = append(f.ids, lastEventID)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ends = append(f.ends, err)
	}()
	if f.refuse != nil {
		return f.refuse
	}
	if err := send([]byte("event: snapshot\ndata: {}\n\n")); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case frame := <-f.next:
			if err := send(frame); err != nil {
				return err
			}
		}
	}
}

// send gives a frame to a reader, unless all have gone.
func (f *fakeLive) send(t *testing.T, frame string) {
	t.Helper()
	select {
	case f.next <- []byte(frame):
	case <-time.After(10 * time.Second):
		t.Fatalf("nobody takes %q; streams ended with %v", frame, f.ends)
	}
}

func (f *fakeLive) ended() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ends)
}

func withLive(f *fakeLive) func(*Config) { return func(c *Config) { c.Live = f } }

// listen opens a stream over the network and reads its first frame.
func (r *running) listen(t *testing.T, w *world, who string, header ...string) (*bufio.Reader, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "GET", r.url+eventsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.token[who])
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	got, err := r.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = got.Body.Close() })
	if got.StatusCode != 200 || got.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" ||
		got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Content-Encoding") != "" {
		t.Fatalf("%s %v", got.Status, got.Header)
	}
	lines := bufio.NewReader(got.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != "event: snapshot\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = lines.ReadString('\n')
	_, _ = lines.ReadString('\n')
	return lines, cancel
}

func TestEventsRefused(t *testing.T) {
	w := newWorld(t)
	w.do("Ana", "GET", eventsPath, nil).is(503, messages.CodeUnavailable)
	live := newFakeLive()
	w = newWorld(t, withLive(live))
	w.do("", "GET", eventsPath, nil).is(401, messages.CodeUnauthenticated)
	w.do("Ana", "POST", eventsPath, nil).is(405)
	live.refuse = coded(messages.CodeUnavailable)
	w.do("Ana", "GET", eventsPath, nil).is(503, messages.CodeUnavailable)
	if n := w.api.readers.count(); n != 0 || w.api.Admission.InFlight() != 0 {
		t.Errorf("%d places kept", n)
	}
	live.refuse = nil
	if got := w.do("Ana", "HEAD", eventsPath, nil).is(200); got.header.Get("Content-Type") != "text/event-stream; charset=utf-8" || len(got.body) > 0 {
		t.Errorf("%v %q", got.header, got.body)
	}
	w.api.EndStreams()
	w.spec = nil                                // it knows no event streams
	w.do("Ana", "GET", eventsPath, nil).is(200) // begins, and ends at once
}

func TestEventsByCookie(t *testing.T) {
	live := newFakeLive()
	w := newWorld(t, withLive(live))
	r := serve(t, w, Limits{})
	r.listen(t, w, "nobody", "Authorization", "", "Cookie", cookieName+"="+w.token["Ana"])
}

// The server's timeouts are for answers that end, not for streams.
func TestStreamsOutliveTheTimeouts(t *testing.T) {
	const timeout = 500 * time.Millisecond // in which the request itself must have been read
	live := newFakeLive()
	w := newWorld(t, withLive(live), func(c *Config) { c.RequestTimeout = timeout / 2 })
	r := serve(t, w, Limits{ReadTimeout: timeout, WriteTimeout: timeout, IdleTimeout: timeout})
	lines, cancel := r.listen(t, w, "Ana", "Last-Event-ID", "e:7")
	for end, i := time.Now().Add(3*timeout), 0; time.Now().Before(end); i++ {
		want := fmt.Sprintf("event: %d\n", i)
		live.send(t, want)
		if got, err := lines.ReadString('\n'); err != nil || got != want {
			t.Fatalf("%q, %v", got, err)
		}
		<-time.After(timeout / 20)
	}
	// A pause longer than all of them.
	select {
	case <-time.After(3 * timeout):
	case <-t.Context().Done():
	}
	live.send(t, "event: late\n")
	if got, err := lines.ReadString('\n'); err != nil || got != "event: late\n" {
		t.Fatalf("%q, %v", got, err)
	}
	if live.ids[0] != "e:7" {
		t.Errorf("Last-Event-ID %q", live.ids[0])
	}
	cancel()
	waitFor(t, func() bool { return live.ended() == 1 && w.api.readers.count() == 0 })
}

func TestLongLastEventID(t *testing.T) {
	live := newFakeLive()
	w := newWorld(t, withLive(live))
	r := serve(t, w, Limits{})
	r.listen(t, w, "Ana", "Last-Event-ID", strings.Repeat("x", 4000))
	if live.ids[0] != "" {
		t.Errorf("%d bytes were taken", len(live.ids[0]))
	}
}

// A reader that never reads is cut off when the buffers between are full.
func TestReaderThatNeverReads(t *testing.T) {
	live := newFakeLive()
	w := newWorld(t, withLive(live))
	w.api.times.stall = 100 * time.Millisecond
	r := serve(t, w, Limits{})
	r.dial(t, "GET "+eventsPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+w.token["Ana"]+"\r\n\r\n")
	frame := []byte(": " + strings.Repeat("x", 1<<20) + "\n\n")
	timeout := time.After(20 * time.Second)
	for live.ended() == 0 {
		select {
		case live.next <- frame:
		case <-time.After(5 * time.Millisecond):
		case <-timeout:
			t.Fatal("it was not cut off")
		}
	}
	waitFor(t, func() bool { return r.ln.open.Load() == 0 })
}

// A reader on a bad line is not cut off while it reads, however long the snapshot
// takes; one that has stopped in the middle of it is.
func TestSlowReaderGetsItsSnapshot(t *testing.T) {
	const stall = time.Second
	live := newFakeLive()
	w := newWorld(t, withLive(live))
	w.api.times.stall = stall
	r := serve(t, w, Limits{})
	// More than the system keeps for a connection, by far.
	snapshot := append(bytes.Repeat([]byte("x"), 24<<20), "\n\n"...)
	begin := func() net.Conn {
		conn := r.dial(t, "GET "+eventsPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+w.token["Ana"]+"\r\n\r\n")
		live.send(t, string(snapshot))
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conn := begin()
	began, got, buf := time.Now(), 0, make([]byte, piece)
	for got < len(snapshot) {
		n, err := conn.Read(buf)
		if got += n; err != nil {
			t.Fatalf("cut off after %d bytes and %v: %v", got, time.Since(began), err)
		}
		<-time.After(time.Duration(n) * 3 * stall / time.Duration(len(snapshot)))
	}
	if took := time.Since(began); took < 3*stall || live.ended() > 0 {
		t.Errorf("read in %v, %d streams have ended; the test has tested nothing", took, live.ended())
	}
	live.send(t, "event: x\n\n") // it goes on
	_ = conn.Close()
	waitFor(t, func() bool {
		select {
		case live.next <- snapshot: // so that it finds out
		default:
		}
		return live.ended() == 1
	})

	stops := begin()
	if _, err := io.ReadFull(stops, make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return live.ended() == 2 })
}

// A stream that is ended in the middle of a snapshot does not go on until the
// reader has it.
func TestStreamEndsInTheMiddleOfASnapshot(t *testing.T) {
	live := newFakeLive()
	w := newWorld(t, withLive(live))
	r := serve(t, w, Limits{})
	conn := r.dial(t, "GET "+eventsPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+w.token["Ana"]+"\r\n\r\n")
	const size = 64 << 20 // far more than the system keeps for a connection
	live.send(t, strings.Repeat("x", size))
	if _, err := io.ReadFull(conn, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	w.api.EndStreams()
	if n, err := io.Copy(io.Discard, conn); err != nil || n > size/2 {
		t.Errorf("%d bytes came after its end (%v)", n, err)
	}
	waitFor(t, func() bool { return live.ended() == 1 })
}

func TestStreamEndsWithItsSession(t *testing.T) {
	live := newFakeLive()
	w := newWorld(t, withLive(live))
	w.api.times.check, w.api.times.recheck = 20*time.Millisecond, 10*time.Millisecond
	r := serve(t, w, Limits{})
	ana, _ := r.listen(t, w, "Ana")
	ben, _ := r.listen(t, w, "Ben")
	lookups := func() int {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		return w.store.lookups
	}

	// Checked, and well; then the store is away: the streams go on.
	before := lookups()
	w.clock.advance(2 * principalTTL)
	waitFor(t, func() bool { return lookups() >= before+2 })
	w.store.setFault(errors.New("away"))
	w.clock.advance(2 * principalTTL)
	failures := func() bool { return strings.Contains(w.logs.String(), "stream ended") }
	<-time.After(100 * time.Millisecond) // several checks
	if failures() || live.ended() > 0 {
		t.Fatal("a stream ended because the store was away")
	}
	w.store.setFault(nil)

	digest, _ := auth.Digest(w.token["Ana"])
	if err := w.store.RevokeSession(t.Context(), digest); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(2 * principalTTL)
	if rest, err := io.ReadAll(ana); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	waitFor(t, func() bool { return live.ended() == 1 })
	live.send(t, "event: x\n")
	if line, err := ben.ReadString('\n'); err != nil || line != "event: x\n" {
		t.Errorf("the other stream: %q, %v", line, err)
	}
}

func TestLimitsOfReaders(t *testing.T) {
	live := newFakeLive()
	w := newWorld(t, withLive(live), func(c *Config) { c.MaxReaders, c.MaxReadersEach = 3, 2 })
	r := serve(t, w, Limits{})
	_, cancel := r.listen(t, w, "Ana")
	r.listen(t, w, "Ana")
	w.do("Ana", "GET", eventsPath, nil).is(429, messages.CodeRateLimited)
	r.listen(t, w, "Ben")
	w.do("Adele", "GET", eventsPath, nil).is(503, messages.CodeOverloaded)
	w.do("Adele", "GET", "/api/auth/verify", nil).is(200) // streams take no place in the engine
	cancel()
	waitFor(t, func() bool { return w.api.readers.count() == 2 })
	r.listen(t, w, "Adele")
}

func TestShutdownEndsStreams(t *testing.T) {
	live := newFakeLive()
	w := newWorld(t, withLive(live))
	r := serve(t, w, Limits{})
	lines, _ := r.listen(t, w, "Ana")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		t.Errorf("it waited for the stream: %v", err)
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v: not a clean end", rest, err)
	}
}

func TestEventsOverHTTP2(t *testing.T) {
	live := newFakeLive()
	w := newWorld(t, withLive(live))
	w.api.times.stall = 600 * time.Millisecond
	const timeout = 300 * time.Millisecond
	server := httptest.NewUnstartedServer(w.api)
	server.EnableHTTP2 = true
	server.Config.ReadTimeout, server.Config.WriteTimeout = timeout, timeout
	server.StartTLS()
	defer server.Close()
	r := &running{Client: server.Client(), url: server.URL}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, "GET", server.URL+eventsPath, nil)
	request.Header.Set("Authorization", "Bearer "+w.token["Ana"])
	got, err := r.Do(request)
	for tries := 0; err != nil && tries < 20; tries++ {
		got, err = r.Do(request) // on a busy machine the handshake takes longer than it may
	}
	if err != nil || got.ProtoMajor != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	defer got.Body.Close()
	lines := bufio.NewReader(got.Body)
	for end, i := time.Now().Add(6*timeout), 0; time.Now().Before(end); i++ {
		want := fmt.Sprintf("event: %d\n", i)
		live.send(t, want)
		for line := ""; line != want; {
			if line, err = lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(timeout / 4)
	}
	// One that stops reading is cut off, and the connection stays.
	frame := []byte(": " + strings.Repeat("x", 1<<20) + "\n\n")
	for giveUp := time.After(20 * time.Second); live.ended() == 0; {
		select {
		case live.next <- frame:
		case <-time.After(5 * time.Millisecond):
		case <-giveUp:
			t.Fatal("it was not cut off")
		}
	}
	waitFor(t, func() bool { return w.api.readers.count() == 0 })
}
