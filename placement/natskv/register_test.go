package natskv

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/dibs-calls/dibs/placement"
	"github.com/dibs-calls/dibs/placement/membership"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lossy loses what it is told to of the next publication. It is used by one goroutine.
type lossy struct {
	jetstream.JetStream
	loseMessage, loseAnswer bool
}

var errLost = errors.New("lost on the way")

func (l *lossy) Publish(ctx context.Context, subject string, data []byte, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	message, answer := l.loseMessage, l.loseAnswer
	l.loseMessage, l.loseAnswer = false, false
	if message {
		return nil, errLost
	}
	ack, err := l.JetStream.Publish(ctx, subject, data, opts...)
	if answer {
		return nil, errLost
	}
	return ack, err
}

func newServer(t *testing.T) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	return s
}

func connect(t *testing.T, s *server.Server) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// newRegister returns a register on a server of its own.
func newRegister(t *testing.T) (*Register, *lossy) {
	t.Helper()
	nc := connect(t, newServer(t))
	bell, err := NewBell(nc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bell.Close)
	r, err := NewRegister(nc, bell, 1)
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{JetStream: r.js}
	r.js = l
	return r, l
}

// exchange writes a member and returns whom the register has.
func exchange(t *testing.T, r *Register, id string, beat uint64) (map[string]placement.Member, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	members, err := r.Exchange(ctx, placement.Member{ID: id, Name: "node", Role: placement.RoleAll, Beat: beat})
	there := map[string]placement.Member{}
	for _, m := range members {
		there[m.ID] = m
	}
	return there, err
}

func mustExchange(t *testing.T, r *Register, id string, beat uint64) {
	t.Helper()
	there, err := exchange(t, r, id, beat)
	if err != nil {
		t.Fatalf("beat %d of %s: %v", beat, id, err)
	}
	if there[id].Beat != beat {
		t.Fatalf("the register has %+v, want beat %d", there[id], beat)
	}
}

// NATS stood still while a node joined anew: its first write is there, and it does not
// know. It must not wait until the register has forgotten it.
func TestWritesWhoseAnswerWasLost(t *testing.T) {
	r, l := newRegister(t)
	for _, lose := range []func(){
		func() { l.loseAnswer = true },
		func() { l.loseMessage = true },
	} {
		id := nats.NewInbox()[len("_INBOX."):]
		lose() // of the first write
		if _, err := exchange(t, r, id, 1); !errors.Is(err, errLost) {
			t.Fatalf("got %v", err)
		}
		mustExchange(t, r, id, 2)
		lose() // of a later one
		if _, err := exchange(t, r, id, 3); !errors.Is(err, errLost) {
			t.Fatalf("got %v", err)
		}
		mustExchange(t, r, id, 4)
		mustExchange(t, r, id, 5)
	}
}

// Who was taken out does not come back by a write.
func TestEvictedMemberIsTold(t *testing.T) {
	r, l := newRegister(t)
	mustExchange(t, r, "one", 1)
	if err := r.Remove(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if _, err := exchange(t, r, "one", 2); err == nil {
		t.Fatal("a member that was taken out wrote itself")
	}
	if _, err := exchange(t, r, "one", 3); !errors.Is(err, membership.ErrEvicted) {
		t.Fatalf("got %v, want that it was evicted", err)
	}
	l.loseAnswer = true
	if _, err := exchange(t, r, "two", 1); !errors.Is(err, errLost) { // as a new member
		t.Fatalf("got %v", err)
	}
	mustExchange(t, r, "two", 2)
}
