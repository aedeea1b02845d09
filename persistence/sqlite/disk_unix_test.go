//go:build unix

package sqlite

import (
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

// TestDiskFullAtCommit lets the system refuse to make the log any longer, which
// a transaction learns at its COMMIT.
func TestDiskFullAtCommit(t *testing.T) {
	s := newStore(t)
	users, clients := cast(t, s, 1)
	call := start(t, s, users[0], clients[0])
	wal, err := os.Stat(s.path(t) + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	setLimit := func(cur uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: cur, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	setLimit(uint64(wal.Size()) + 100_000)
	defer setLimit(before.Cur)

	full := fillUp(t, s)
	if got := messages.CodeOf(full); got != messages.CodeUnavailable {
		t.Fatalf("code %q, want %q: %v", got, messages.CodeUnavailable, full)
	}
	t.Logf("full: %v", full)
	if got := messages.CodeOf(s.Ping(t.Context())); got != messages.OK && got != messages.CodeUnavailable {
		t.Fatalf("code of a ping: %q", got)
	}
	if _, ok := heldCalls(t, s)[call.ID]; !ok {
		t.Fatal("the call is gone")
	}
	setLimit(before.Cur)
	if _, err := s.Commit(t.Context(), []messages.Write{bigNote(users[0], clients[0]), releaseOf(call)}); err != nil {
		t.Fatal(err)
	}
	wantSound(t, s)
}
