package natsapi

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

func TestStreamOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	outbox := &natstest.Outbox{}
	bus := open(t, inProcess(t, dir))
	p := publishing(t, bus, outbox)
	events := calls(outbox, 5, 2)
	empty(t, outbox)
	epoch := streamEpoch(t, bus)
	halt(t, p)
	closeBus(t, bus)

	bus = open(t, inProcess(t, dir))
	if n := inOrder(t, stored(t, bus)); n != events {
		t.Errorf("%d events after the restart, want %d", n, events)
	}
	if streamEpoch(t, bus) != epoch {
		t.Error("the stream has another epoch")
	}
}

func streamEpoch(t *testing.T, bus *Bus) string {
	t.Helper()
	stream, err := bus.js.Stream(t.Context(), StreamName)
	if err != nil {
		t.Fatal(err)
	}
	return epochOf(stream.CachedInfo())
}

func TestFolderBelongsToOneProcess(t *testing.T) {
	dir := t.TempDir()
	bus := open(t, inProcess(t, dir))
	if _, err := Open(t.Context(), inProcess(t, dir)); err == nil || !strings.Contains(err.Error(), "another process uses") {
		t.Fatalf("got %v, want that the folder is taken", err)
	}
	closeBus(t, bus)
	open(t, inProcess(t, dir)) // free again
}

func TestFolderThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), inProcess(t, filepath.Join(file, "nats"))); err == nil || !strings.Contains(err.Error(), "cannot be made") {
		t.Errorf("got %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), inProcess(t, dir)); err == nil || !strings.Contains(err.Error(), "cannot start") {
		t.Errorf("got %v", err)
	}
}

// The server would leave out a stream that it cannot read, and we would make it
// anew over what is left of it.
func TestDamagedStreamStopsTheStart(t *testing.T) {
	dir := t.TempDir()
	bus := open(t, inProcess(t, dir))
	closeBus(t, bus)
	meta := filepath.Join(streamFolders(dir)[0], "meta.inf")
	if err := os.WriteFile(meta, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), inProcess(t, dir))
	if err == nil || !strings.Contains(err.Error(), "cannot read what it stored") {
		t.Fatalf("got %v", err)
	}
	if data, err := os.ReadFile(meta); err != nil || string(data) != "damaged" {
		t.Errorf("what was there was touched: %q, %v", data, err)
	}
}

func TestListenWithToken(t *testing.T) {
	cfg := inProcess(t, t.TempDir())
	cfg.Embedded.Listen, cfg.Embedded.Token = "127.0.0.1:0", "open-sesame"
	bus := open(t, cfg)
	url := "nats://" + bus.Addr().String()
	if nc, err := nats.Connect(url); err == nil {
		nc.Close()
		t.Error("connected without the token")
	}
	nc, err := nats.Connect(url, nats.Token("open-sesame"))
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func TestPortThatIsTaken(t *testing.T) {
	cfg := inProcess(t, t.TempDir())
	cfg.Embedded.Listen = "127.0.0.1:0"
	taken := open(t, cfg).Addr().String()
	cfg = inProcess(t, t.TempDir())
	cfg.Embedded.Listen = taken
	began := time.Now()
	bus, err := Open(t.Context(), cfg)
	if err == nil {
		closeBus(t, bus)
		t.Fatal("opened")
	}
	if took := time.Since(began); took > startWithin/2 || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("after %s: %v", took, err)
	}
}

// What [Embedded.Sync] relies on: an acknowledged message was given to the
// operating system, so it is in a file that a flush reaches.
func TestAcknowledgedEventsAreInFilesThatSyncFlushes(t *testing.T) {
	dir := t.TempDir()
	bus := open(t, inProcess(t, dir))
	flushed := map[string]bool{}
	bus.embedded.files.flush = func(f *os.File) error { flushed[f.Name()] = true; return f.Sync() }
	if err := bus.embedded.Sync(); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		msg, err := encoded(natstest.Started(i, 0), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bus.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		file := holding(t, dir, msg.Data)
		clear(flushed)
		if err := bus.embedded.Sync(); err != nil {
			t.Fatal(err)
		}
		if !flushed[file] {
			t.Fatalf("%s was not flushed, only %v", file, flushed)
		}
	}
	waitFor(t, 5*time.Second, "what did not change is not flushed", func() bool {
		clear(flushed)
		if err := bus.embedded.Sync(); err != nil {
			t.Fatal(err)
		}
		return len(flushed) == 0
	})
}

// holding returns the file below dir that has text in it.
func holding(t *testing.T, dir string, text []byte) (found string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, text) {
			found = path
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil // the server has put another one in its place
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if found == "" {
		t.Fatal("an acknowledged event is in no file")
	}
	return found
}

// A disk that failed once is not believed again.
func TestFailedFlushIsForEver(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	var fail atomic.Bool
	fail.Store(true)
	bus.embedded.files.flush = func(f *os.File) error {
		if fail.Load() {
			return errors.New("input/output error")
		}
		return f.Sync()
	}
	outbox := &natstest.Outbox{}
	outbox.Add(natstest.Started(1, 0))
	p := publishing(t, bus, outbox)
	waitFor(t, 10*time.Second, "publishing fails", failing(p))
	fail.Store(false)
	waitFor(t, 10*time.Second, "it fails again", failing(p))
	if outbox.Len() != 1 {
		t.Error("the row was cleared")
	}
	if err := bus.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "disk") {
		t.Errorf("ready: %v", err)
	}
}

func TestReadyAndClose(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	if err := bus.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := bus.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := bus.Close(ctx); err != nil {
		t.Errorf("the second close: %v", err)
	}
	if err := bus.Ready(t.Context()); err == nil {
		t.Error("ready after it was closed")
	}
}
