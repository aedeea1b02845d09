package actors_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors"
	"github.com/dibs-calls/dibs/actors/internal/wire"
	"github.com/dibs-calls/dibs/messages"
)

// node is a placement that a test decides: everybody lives here until it says
// otherwise, and other nodes answer as it says.
type node struct {
	home    string       // another node where everybody lives; empty: here
	invalid atomic.Bool  // this node is fenced
	asked   atomic.Int64 // requests to other nodes
	answer  func(n int64) (any, error)

	codec sync.Mutex
}

func (n *node) Home(uuid.UUID) (string, bool) { return n.home, n.home == "" && !n.invalid.Load() }
func (n *node) Valid() bool                   { return !n.invalid.Load() }
func (n *node) Alone() bool                   { return n.home == "" }
func (n *node) Tell(string, []byte) error     { return nil }
func (n *node) Speaks(string) int             { return actors.Protocol }

func (n *node) Ask(context.Context, string, []byte) ([]byte, error) {
	m, err := n.answer(n.asked.Add(1))
	if err != nil {
		return nil, err
	}
	n.codec.Lock()
	defer n.codec.Unlock()
	return wire.NewCodec().Encode(m, actors.Protocol, 0)
}

// A node loses touch with the cluster and with the store while it commits. Whoever hears
// that nothing was done would begin a call twice.
func TestFencedNodeDoesNotDenyACommitInDoubt(t *testing.T) {
	fenced := &node{}
	s, store := newSystem(t, func(c *actors.Config) { c.Placement = fenced })
	store.set(func(f *fakeStore) {
		f.after = func([]messages.Write) error {
			f.set(func(f *fakeStore) { f.down = true })
			fenced.invalid.Store(true)
			return errors.New("the connection is gone")
		}
	})
	want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.CodeOutcomeUnknown)
}

// A request was lost with its node. That another one says that it did nothing is no word
// about the first.
func TestLaterTryDoesNotDenyALostOne(t *testing.T) {
	for _, code := range []messages.Code{messages.CodeUnavailable, messages.CodeOverloaded} {
		other := &node{home: "elsewhere", answer: func(n int64) (any, error) {
			if n == 1 {
				return nil, errors.New("the node is gone")
			}
			return messages.Answer{Code: code}, nil
		}}
		s, _ := newSystem(t, func(c *actors.Config) { c.Placement = other })
		start := startOf(1, 1)
		start.Key = &messages.Key{Caller: "test", Value: "once"}
		want(t, s.StartCall(t.Context(), start), messages.CodeOutcomeUnknown)
		if n := other.asked.Load(); n != 2 {
			t.Errorf("%d tries, want 2", n)
		}
	}
}
