package natsapi

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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
	dir := t.TempDir()
	cfg := inProcess(t, dir)
	var out lockedBuffer
	cfg.Log = slog.New(slog.NewTextHandler(&out, nil))
	cfg.Embedded.Listen = "127.0.0.1:0"
	bus := open(t, cfg)
	sink := newRecorder()
	following(t, bus, sink)
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
