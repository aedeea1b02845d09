package sqlite

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/storetest"
)

// pair is two stores on one file, used by turns, as two processes would.
type pair struct {
	*Store
	other *Store
	turn  *atomic.Int64
}

func (p pair) next() *Store {
	if p.turn.Add(1)%2 == 0 {
		return p.other
	}
	return p.Store
}

func (p pair) Commit(ctx context.Context, batch []messages.Write) ([]messages.Outcome, error) {
	return p.next().Commit(ctx, batch)
}

func (p pair) ClaimsOfUsers(ctx context.Context, users []messages.UserID) ([]messages.HeldClaim, error) {
	return p.next().ClaimsOfUsers(ctx, users)
}

func (p pair) ClaimsOfClients(ctx context.Context, clients []messages.ClientID) ([]messages.HeldClaim, error) {
	return p.next().ClaimsOfClients(ctx, clients)
}

func (p pair) DeleteClient(ctx context.Context, id messages.ClientID, audit messages.Audit) error {
	return p.next().DeleteClient(ctx, id, audit)
}

func TestTwoStoresOnOneFile(t *testing.T) {
	for _, topic := range []string{"Concurrent", "Key", "Outbox"} {
		t.Run(topic, func(t *testing.T) {
			storetest.RunTopic(t, topic, func(t *testing.T) persistence.Store {
				s := newStore(t)
				return pair{s, openStore(t, s.path(t)), new(atomic.Int64)}
			})
		})
	}
}

// TestBesideABusyProcess: a process that writes without a rest lets others in.
func TestBesideABusyProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dibs.db")
	if _, err := Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, path)
	cast(t, s, 40) // the other's
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	if _, err := out.Read(make([]byte, 1)); err != nil { // it has begun
		t.Fatal(err)
	}
	go func() { // keep it from waiting for its reader
		buf := make([]byte, 1<<16)
		for {
			if _, err := out.Read(buf); err != nil {
				return
			}
		}
	}()
	users, clients := cast(t, s, 1)
	for range 50 {
		call := start(t, s, users[0], clients[0])
		if _, err := s.Commit(t.Context(), []messages.Write{releaseOf(call)}); err != nil {
			t.Fatal(err)
		}
		cast(t, s, 5)
	}
}

// TestFileLocked: while another process holds the file a caller waits no longer
// than it wants to, and is told that nothing was done.
func TestFileLocked(t *testing.T) {
	s := newStore(t)
	users, clients := cast(t, s, 1)
	other := openStore(t, s.path(t))
	if err := other.writer.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := s.Commit(ctx, []messages.Write{claimOf(users[0], clients[0])})
	if got := messages.CodeOf(err); got != messages.CodeUnavailable {
		t.Fatalf("code %q: %v", got, err)
	}
	if n := len(heldCalls(t, s)); n != 0 {
		t.Fatalf("%d calls are in progress", n)
	}
	other.writer.rollback()
	start(t, s, users[0], clients[0])
}
