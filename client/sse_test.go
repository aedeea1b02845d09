package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func frames(t testing.TB, text io.Reader) (got []frame, err error) {
	t.Helper()
	err = readFrames(text, func() {}, func(f frame) bool {
		got = append(got, frame{f.id, f.name, bytes.Clone(f.data)})
		return true
	})
	return got, err
}

func TestReadFrames(t *testing.T) {
	const text = ": hello\n\nid: e:1\nevent: snapshot\ndata: {\"a\":1}\n\n" +
		"event:call.started\ndata:one\ndata: two\ndata\nignored: x\nretry: 5\n\r\n" +
		": ping\nid: e:3\nevent: ping\ndata: {}\r\n\r\nevent: lost\n\ndata: cut off"
	want := `[{e:1 snapshot {"a":1}} {e:1 call.started one` + "\ntwo\n" + `} {e:3 ping {}}]`
	for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
		got, err := frames(t, r)
		var said []string
		for _, f := range got {
			said = append(said, fmt.Sprintf("{%s %s %s}", f.id, f.name, f.data))
		}
		if s := "[" + strings.Join(said, " ") + "]"; s != want || !errors.Is(err, io.EOF) {
			t.Errorf("%q, %v\nwant %q", s, err, want)
		}
	}
}

func FuzzReadFrames(f *testing.F) {
	f.Add([]byte("id: 1\nevent: call.started\ndata: {\"call\":{}}\n\n"))
	f.Add([]byte("data:\n\n\r\n:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := frames(t, bytes.NewReader(text))
		if err == nil {
			t.Error("it ended without an error")
		}
		for _, one := range got {
			if e, ok := one.event(); ok && e.Type == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}

// streamServer answers each connection with the next of its streams.
type streamServer struct {
	mu      sync.Mutex
	streams []string
	after   []string // Last-Event-ID of each connection
	status  int      // of those beyond
}

func (s *streamServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	n := len(s.after)
	s.after = append(s.after, r.Header.Get("Last-Event-ID"))
	s.mu.Unlock()
	if n >= len(s.streams) {
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, `{"error":"Please sign in.","code":"unauthenticated"}`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	_, _ = io.WriteString(w, s.streams[n])
}

// A connection that breaks is made again where it was, and what is said twice
// or unknown does not reach the reader.
func TestWatch(t *testing.T) {
	s := &streamServer{status: http.StatusUnauthorized, streams: []string{
		"id: e:4\nevent: snapshot\ndata: {\"calls\":[{\"call\":{\"id\":\"c1\"},\"user\":{\"first_name\":\"Ana\"}}],\"stale\":false}\n\n" +
			"id: e:5\nevent: call.ended\ndata: {\"call\":{\"id\":\"c1\"},\"reason\":\"completed\",\"disposition\":\"sale\"}\n\nid: e:6\nevent: call.sta",
		": ping\nid: e:6\nevent: ping\ndata: {}\n\nid: e:7\nevent: call.started\ndata: {\"call\":{\"id\":\"c2\",\"token\":9},\"client\":{\"phone\":\"+1\"}}\n\n" +
			"id: e:8\nevent: call.started\ndata: not JSON\n\nid: e:9\nevent: stale\ndata: {\"stale\":true}\n\n",
	}}
	server := httptest.NewServer(s)
	defer server.Close()
	c, err := New(server.URL, APIKey("k"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []string
	for e, err := range c.Watch(t.Context(), After("e:3")) {
		if err != nil {
			got = append(got, fmt.Sprint(err))
			continue
		}
		got = append(got, fmt.Sprintf("%s %s %s %v %d", e.Type, e.Position, e.Call.ID, e.Stale, len(e.Calls)))
	}
	want := []string{
		"snapshot e:4  false 1", "call.ended e:5 c1 false 0", "stale   true 0", "stale   false 0",
		"call.started e:7 c2 false 0", "stale e:9  true 0", "stale   true 0", "dibs: unauthenticated: Please sign in.",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if after := strings.Join(s.after, " "); after != "e:3 e:5 e:9" {
		t.Errorf("resumed after %s", after)
	}
}

// The reader may stop, and so may its context, however quiet the stream is.
func TestWatchEnds(t *testing.T) {
	quiet := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "id: e:1\nevent: snapshot\ndata: {\"calls\":[]}\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-quiet:
		}
	}))
	defer server.Close()
	defer close(quiet)
	c, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for e, err := range c.Watch(t.Context()) {
		if err != nil || e.Type != Snapshot {
			t.Errorf("%+v, %v", e, err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for e, err := range c.Watch(ctx) {
		if err != nil || e.Type != Snapshot {
			t.Errorf("%+v, %v", e, err)
		}
		time.AfterFunc(10*time.Millisecond, cancel)
	}
}

// A reader that stops at the word that the connection is back is not kept, though
// nothing comes behind it.
func TestWatchEndsWhenItIsBack(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		if connections.Add(1) > 1 {
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	c, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for e, err := range c.Watch(ctx) {
		if err != nil || e.Type != Stale {
			t.Errorf("%+v, %v", e, err)
		}
		if !e.Stale {
			break
		}
	}
	if ctx.Err() != nil {
		t.Error("it went on when the reader had enough")
	}
}

// A server that is being replaced does not end what was followed once.
func TestWatchOverAReplacement(t *testing.T) {
	var n atomic.Int64
	const stream = "id: e:1\nevent: snapshot\ndata: {\"calls\":[]}\n\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch n.Add(1) {
		case 1, 4:
			http.Error(w, `{"error":"Something went wrong.","code":"internal"}`, http.StatusInternalServerError)
		case 3:
			http.Error(w, "no such service", http.StatusNotFound)
		case 2, 5:
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, stream)
		default:
			http.Error(w, "", http.StatusForbidden)
		}
	}))
	defer server.Close()
	c, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	snapshots, last := 0, error(nil)
	for e, err := range c.Watch(t.Context()) {
		if last = err; e.Type == Snapshot {
			snapshots++
		}
	}
	if snapshots != 2 || n.Load() != 6 || !errors.Is(last, CodeForbidden) {
		t.Errorf("%d snapshots in %d tries, and at last %v", snapshots, n.Load(), last)
	}
}

// flapping is a transport whose connections break as soon as they are made.
type flapping struct {
	store
	tries int
}

func (f *flapping) watch(_ context.Context, _ string, ready func(string) bool, _ func(Event) bool) error {
	f.tries++
	if !ready("") {
		return errEnough
	}
	return lost(io.EOF)
}

func TestWatchBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flapping{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, err := range (&Client{via: f}).Watch(ctx) {
			if err != nil && ctx.Err() == nil {
				t.Fatal(err)
			}
		}
		if f.tries < 20 || f.tries > 70 {
			t.Errorf("%d tries in a minute", f.tries)
		}
	})
}

// A page where the stream should be is told, instead of being asked for ever.
func TestWatchOfSomethingElse(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<html>")
	}))
	defer server.Close()
	c, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, err := range c.Watch(t.Context()) {
		if !errors.Is(err, CodeNotFound) {
			t.Errorf("%v", err)
		}
	}
}
