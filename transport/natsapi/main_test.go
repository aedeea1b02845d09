package natsapi

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/dibs-calls/dibs/live"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// rewriting reports whether golden files are to be written anew. The flag
// -rewrite is that of package datadriven.
func rewriting() bool { return flag.Lookup("rewrite").Value.String() == "true" }

// built is the nats-server of all tests that need a process of it.
var built struct {
	once sync.Once
	dir  string
	bin  string
	err  error
}

// Tests that wait for elections and for pauses between tries, with nothing but hang guards, are
// parallel: they follow when the others, which may measure, are over.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// waitFor waits until ok returns true.
func waitFor(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// process starts a nats-server that is killed at the end of the test.
func process(t *testing.T, config string) *natstest.Server {
	t.Helper()
	s := idleProcess(t, config)
	start(t, s)
	return s
}

func idleProcess(t *testing.T, config string) *natstest.Server {
	t.Helper()
	built.once.Do(func() {
		built.dir, built.err = os.MkdirTemp("", "nats-server-") //nolint:usetesting // it outlives this test, for the others
		if built.err == nil {
			built.bin, built.err = natstest.Build(context.Background(), built.dir)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	s, err := natstest.NewServer(built.bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.Config = config
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func start(t *testing.T, s *natstest.Server) {
	t.Helper()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// configOf is the configuration of a node that uses s.
func configOf(t testing.TB, s *natstest.Server) Config {
	return Config{URL: s.URL(), Metrics: prometheus.NewRegistry(), Log: logger(t)}
}

// inProcess is the configuration of a node with a server of its own.
func inProcess(t testing.TB, dir string) Config {
	return Config{Embedded: EmbeddedConfig{Dir: dir, Listen: "127.0.0.1:0"}, Metrics: prometheus.NewRegistry(), Log: logger(t)}
}

func open(t testing.TB, cfg Config) *Bus {
	t.Helper()
	bus, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBus(t, bus) })
	return bus
}

func closeBus(t testing.TB, bus *Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := bus.Close(ctx); err != nil {
		t.Error(err)
	}
}

// publishing starts a publisher that is stopped at the end of the test.
func publishing(t testing.TB, bus *Bus, outbox Outbox) *Publisher {
	t.Helper()
	p, err := bus.newPublisher(outbox, timing{poll: 100 * time.Millisecond, count: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	p.Start()
	t.Cleanup(func() { halt(t, p) })
	return p
}

// halt stops a publisher at once, whatever it has to do.
func halt(t testing.TB, p *Publisher) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// stored reads all messages of the stream, oldest first.
func stored(t testing.TB, bus *Bus) []*jetstream.RawStreamMsg {
	t.Helper()
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	state := stream.CachedInfo().State
	var all []*jetstream.RawStreamMsg
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, msg)
	}
	return all
}

// count is how many messages the stream holds.
func count(t testing.TB, bus *Bus) int {
	t.Helper()
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		return 0
	}
	return int(stream.CachedInfo().State.Msgs)
}

// recorder is a sink that remembers everything.
type recorder struct {
	mu     sync.Mutex
	pos    live.Offset
	events []messages.Event
	resets []live.Offset
	stale  bool
	since  time.Time // of stale
}

func newRecorder() *recorder { return &recorder{stale: true} }

func (r *recorder) Position() live.Offset {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pos
}

func (r *recorder) Apply(at live.Offset, e messages.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pos, r.events = at, append(r.events, e)
}

func (r *recorder) Reset(at live.Offset) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pos, r.resets = at, append(r.resets, at)
}

func (r *recorder) Stale(stale bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stale != stale {
		r.stale, r.since = stale, time.Now()
	}
}

func (r *recorder) isStale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stale
}

func (r *recorder) counts() (events, resets int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events), len(r.resets)
}

// following runs a feed until the end of the test.
func following(t testing.TB, bus *Bus, sink *recorder) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx, t, bus, sink)
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// run runs a feed of the stream until ctx ends.
func run(ctx context.Context, t testing.TB, bus *Bus, sink live.Sink) {
	if err := bus.streamFeed().Run(ctx, sink); !errors.Is(err, context.Canceled) {
		t.Errorf("the feed ended: %v", err)
	}
}

// inOrder checks that every client's events came in order, each call's start
// before its end, none missing and none twice. It returns how many there were.
func inOrder(t testing.TB, msgs []*jetstream.RawStreamMsg) int {
	t.Helper()
	last := map[messages.ClientID]messages.Event{}
	for _, msg := range msgs {
		e, err := decode(msg.Data)
		if err != nil {
			t.Fatal(err)
		}
		before, seen := last[e.Call.ClientID]
		ok := !seen && e.Call.Token == 1 && e.Type == messages.EventCallStarted
		if seen && before.Type == messages.EventCallStarted {
			ok = e.Type == messages.EventCallEnded && e.Call.ID == before.Call.ID
		} else if seen {
			ok = e.Type == messages.EventCallStarted && e.Call.Token == before.Call.Token+1
		}
		if !ok {
			t.Fatalf("sequence %d: %s of token %d of client %s after %s of token %d", msg.Sequence,
				e.Type, e.Call.Token, e.Call.ClientID, before.Type, before.Call.Token)
		}
		last[e.Call.ClientID] = e
	}
	return len(msgs)
}
