package natsapi

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// What a process that is killed leaves in the folder of a stream, at every point
// of its making and of a change, is no reason not to start again.
func TestStartsOverWhatAKilledProcessLeft(t *testing.T) {
	for name, left := range map[string]func(folder string) error{
		"nothing but the folder": func(folder string) error {
			return begunAnew(folder, "meta.inf", "meta.sum")
		},
		"a description without a checksum": func(folder string) error {
			return begunAnew(folder, "meta.sum")
		},
		"a stream that was being removed": func(folder string) error {
			return os.Rename(folder, filepath.Join(filepath.Dir(folder), "."+filepath.Base(folder)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			closeBus(t, open(t, inProcess(t, dir)))
			for _, folder := range streamFolders(dir) {
				if err := left(folder); err != nil {
					t.Fatal(err)
				}
			}
			outbox := &natstest.Outbox{}
			bus := open(t, inProcess(t, dir))
			publishing(t, bus, outbox)
			events := calls(outbox, 3, 1)
			empty(t, outbox)
			if n := inOrder(t, stored(t, bus)); n != events {
				t.Errorf("%d events, want %d", n, events)
			}
		})
	}
}

// begunAnew leaves a stream's folder as it is while the stream is being made,
// when files have not been written yet.
func begunAnew(folder string, without ...string) error {
	for _, file := range append(without, "msgs", "obs") {
		if err := os.RemoveAll(filepath.Join(folder, file)); err != nil {
			return err
		}
	}
	return os.Mkdir(filepath.Join(folder, "msgs"), 0o700)
}

// A change of a stream's limits that was cut off keeps the events, and the change.
func TestChecksumOfAChangeThatWasCutOff(t *testing.T) {
	dir := t.TempDir()
	outbox := &natstest.Outbox{}
	bus := open(t, inProcess(t, dir))
	p := publishing(t, bus, outbox)
	events := calls(outbox, 3, 1)
	empty(t, outbox)
	halt(t, p)
	closeBus(t, bus)
	for _, folder := range streamFolders(dir) {
		meta, sum := filepath.Join(folder, "meta.inf"), filepath.Join(folder, "meta.sum")
		if err := os.WriteFile(sum, []byte("0123456789abcdef"), 0o600); err != nil {
			t.Fatal(err)
		}
		changed(t, sum, time.Hour)
		changed(t, meta, time.Minute)
	}
	if n := inOrder(t, stored(t, open(t, inProcess(t, dir)))); n != events {
		t.Errorf("%d events, want %d", n, events)
	}
}

// Events without a description are not thrown away.
func TestEventsWithoutADescriptionStopTheStart(t *testing.T) {
	dir := t.TempDir()
	outbox := &natstest.Outbox{}
	bus := open(t, inProcess(t, dir))
	p := publishing(t, bus, outbox)
	calls(outbox, 3, 1)
	empty(t, outbox)
	halt(t, p)
	closeBus(t, bus)
	folder := filepath.Join(dir, "jetstream", "$G", "streams", StreamName)
	if err := os.Remove(filepath.Join(folder, "meta.inf")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), inProcess(t, dir)); err == nil {
		t.Fatal("started")
	}
	if full, err := holdsMessages(folder); !full || err != nil {
		t.Errorf("the events are gone (%v)", err)
	}
}

// changed makes a file look as if it had been changed before.
func changed(t *testing.T, file string, before time.Duration) {
	t.Helper()
	at := time.Now().Add(-before)
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
}
