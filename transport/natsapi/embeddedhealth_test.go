package natsapi

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// The disk was full, the server has switched JetStream off, and there is room again
// after a while: events are published again, nothing is missing, and whoever was
// connected finds the server where it was.
func TestPublishingComesBackAfterAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := inProcess(t, dir)
	var out lockedBuffer
	cfg.Log = slog.New(slog.NewTextHandler(&out, nil))
	cfg.Embedded.Listen = "127.0.0.1:0"
	bus := open(t, cfg)
	sink := newRecorder()
	following(t, bus, sink)
	attached(t, sink) // it begins at the end of the stream
	outbox := &natstest.Outbox{}
	p := publishing(t, bus, outbox)
	events := calls(outbox, 5, 2)
	empty(t, outbox)
	outside, err := nats.Connect("nats://"+bus.Addr().String(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	before, epoch := bus.embedded.server.Load(), streamEpoch(t, bus)

	noRoom := filepath.Join(dir, "room")
	if err := os.Mkdir(noRoom, 0o700); err != nil {
		t.Fatal(err)
	}
	failed := failing(p)
	said := func() bool { return strings.Contains(out.String(), "events wait in the store until there is room") }
	fillUp(t, bus.embedded)
	events += callsFrom(outbox, 5, 2, 2)
	p.Wake()
	waitFor(t, 20*time.Second, "publishing fails", failed)
	waitFor(t, 20*time.Second, "somebody looked for room", said)
	if bus.embedded.server.Load() != before {
		t.Error("the server was started anew while there was no room")
	}
	if err := os.Remove(noRoom); err != nil {
		t.Fatal(err)
	}
	empty(t, outbox)
	if n := inOrder(t, stored(t, bus)); n != events {
		t.Errorf("%d events on the stream, want %d", n, events)
	}
	if streamEpoch(t, bus) != epoch {
		t.Error("the stream has another epoch")
	}
	waitFor(t, 20*time.Second, "readers have heard everything", func() bool { n, _ := sink.counts(); return n == events })
	waitFor(t, 20*time.Second, "who was connected is connected again", func() bool { _, err := outside.RTT(); return err == nil })
	if _, err := os.Stat(noRoom); err == nil {
		t.Error("what tried the room was left behind")
	}
}

// fillUp leaves a server as a full disk does: JetStream is off, and the log says why.
func fillUp(t *testing.T, e *Embedded) {
	t.Helper()
	if err := e.server.Load().ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	e.server.Load().Errorf("Critical write error: %v", fmt.Errorf("a stream: %w", &fs.PathError{Op: "write", Path: "1.blk", Err: syscall.ENOSPC}))
}

// A server that is stopped while its disk is full is not started again.
func TestStopWithAFullDisk(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	fillUp(t, bus.embedded)
	closeBus(t, bus)
	if bus.embedded.server.Load().Running() {
		t.Error("the server runs")
	}
}

// Of many errors the server keeps only the text; whoever connects can have other texts
// logged.
func TestHearsOfAFullDisk(t *testing.T) {
	full := &fs.PathError{Op: "open", Path: "2.blk", Err: syscall.ENOSPC}
	for what, c := range map[string]struct {
		said any
		full bool
	}{
		"an error":             {full, true},
		"wrapped":              {fmt.Errorf("a stream: %w", full), true},
		"its text":             {fmt.Errorf("Error creating msg block file: %v", full), true},          //nolint:errorlint // as the server does
		"a quota's text":       {fmt.Errorf("error opening msg block file: %v", syscall.EDQUOT), true}, //nolint:errorlint // as the server does
		"another error":        {&fs.PathError{Op: "open", Path: "2.blk", Err: syscall.EIO}, false},
		"somebody else's text": {"proto='no space left on device'", false},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHealth(newSyncer("jetstream"))
			h.heard([]any{"JS", c.said})
			if got := h.full.Load(); got != c.full {
				t.Errorf("full: %t, want %t", got, c.full)
			}
			if err := h.files.failed(); err != nil {
				t.Errorf("failed for good: %v", err)
			}
		})
	}
}

// A flush that failed once is not believed again, whoever flushed, and whyever: the
// pages that it lost count as written from then on.
func TestServersFailedFlushIsForEver(t *testing.T) {
	dir := t.TempDir()
	block := filepath.Join(dir, "jetstream", "$G", "streams", StreamName, "msgs", "1.blk")
	for what, err := range map[string]error{
		"broken":   &fs.PathError{Op: "sync", Path: block, Err: syscall.EIO},
		"no room":  &fs.PathError{Op: "sync", Path: block, Err: syscall.ENOSPC},
		"its text": fmt.Errorf("a stream: %v", &fs.PathError{Op: "sync", Path: block, Err: syscall.ENOSPC}), //nolint:errorlint // as the server does
	} {
		t.Run(what, func(t *testing.T) {
			h := newHealth(newSyncer(filepath.Join(dir, "jetstream")))
			h.heard([]any{err})
			if h.full.Load() || h.files.failed() == nil {
				t.Errorf("full: %t, failed: %v", h.full.Load(), h.files.failed())
			}
		})
	}
	bus, outbox := open(t, inProcess(t, dir)), &natstest.Outbox{}
	bus.embedded.server.Load().Errorf("Critical write error: %v", &fs.PathError{Op: "sync", Path: block, Err: syscall.ENOSPC})
	p := publishing(t, bus, outbox)
	failed := failing(p)
	outbox.Add(natstest.Started(1, 0))
	waitFor(t, 20*time.Second, "publishing fails", failed)
	if outbox.Len() != 1 {
		t.Error("the row was cleared")
	}
	if err := bus.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "disk") {
		t.Errorf("ready: %v", err)
	}
}

// A server that was full and then failed to flush is left as it is: a new start in place
// would hide what was lost.
func TestNoNewStartAfterAFailedFlush(t *testing.T) {
	h := newHealth(newSyncer(t.TempDir()))
	if h.full.Store(true); !h.curable() {
		t.Error("a full disk: not to be started anew")
	}
	if h.heard([]any{&fs.PathError{Op: "sync", Path: "1.blk", Err: syscall.EIO}}); h.curable() {
		t.Error("a failed flush: to be started anew")
	}
}

// inquisitive tries the way into a server whenever that server says something.
type inquisitive struct {
	slog.Handler
	asks func()
}

func (inquisitive) Enabled(context.Context, slog.Level) bool { return true }

func (h inquisitive) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h inquisitive) Handle(context.Context, slog.Record) error { h.asks(); return nil }

// Who got into a server that still reads its streams would find none, and make them anew.
func TestNobodyGetsIntoAServerThatStarts(t *testing.T) {
	cfg := inProcess(t, t.TempDir())
	bus := open(t, cfg)
	e := bus.embedded
	var tries, in atomic.Int32
	log := slog.New(inquisitive{Handler: cfg.Log.Handler(), asks: func() {
		tries.Add(1)
		conn, err := (current{e}).InProcessConn()
		if err != nil {
			return
		}
		if !e.ready.Load() {
			in.Add(1)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}})
	e.shutdown()
	if _, err := (current{e}).InProcessConn(); err == nil {
		t.Error("got into a server that is down")
	}
	if err := e.start(cfg.Embedded, log); err != nil {
		t.Fatal(err)
	}
	if tries.Load() == 0 || in.Load() > 0 {
		t.Errorf("got in %d of %d times", in.Load(), tries.Load())
	}
	waitFor(t, 20*time.Second, "the way in is open", func() bool { return bus.Ready(t.Context()) == nil })
}

// Who stops the process need not wait for a server to start first.
func TestStopBetweenDownAndUp(t *testing.T) {
	cfg := inProcess(t, t.TempDir())
	e, err := StartEmbedded(cfg.Embedded, cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	before := e.server.Load()
	e.health.close()
	e.health.restart(e, cfg.Embedded, cfg.Log)
	if e.server.Load() != before || before.Running() {
		t.Error("it was started anew")
	}
	if err := e.lock.Unlock(); err != nil {
		t.Error(err)
	}
}
