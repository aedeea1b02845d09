package actors_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors"
	"github.com/dibs-calls/dibs/actors/internal/wire"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/placement"
)

// node is a placement that a test decides: everybody lives here until it says
// otherwise, and other nodes answer as it says.
type node struct {
	home    string       // another node where everybody lives; empty: here
	invalid atomic.Bool  // this node is fenced
	asked   atomic.Int64 // requests to other nodes
	answer  func(n int64) (any, error)
	speaks  int                                           // the other node; zero: what this one does
	hear    func([]byte)                                  // is told what other nodes are asked; nil: nobody
	carry   func(n int64, request []byte) ([]byte, error) // instead of answer

	codec sync.Mutex
}

func (n *node) Home(uuid.UUID) (string, bool) { return n.home, n.home == "" && !n.invalid.Load() }
func (n *node) Valid() bool                   { return !n.invalid.Load() }
func (n *node) Alone() bool                   { return n.home == "" }
func (n *node) Tell(string, []byte) error     { return nil }

func (n *node) Speaks(string) int {
	if n.speaks > 0 {
		return n.speaks
	}
	return actors.Protocol
}

func (n *node) Ask(_ context.Context, _ string, request []byte) ([]byte, error) {
	if n.hear != nil {
		n.hear(request)
	}
	if n.carry != nil {
		return n.carry(n.asked.Add(1), request)
	}
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

// triesOf notes what a node asks others.
func triesOf(t *testing.T, n *node) (asked func() []any) {
	t.Helper()
	var mu sync.Mutex
	var all []any
	n.hear = func(b []byte) {
		m, _, err := wire.NewCodec().Decode(b)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, m)
	}
	return func() []any { mu.Lock(); defer mu.Unlock(); return all }
}

// A start that was lost with its node is not made a second time: who takes over is asked
// what became of it. Nobody is asked while the node may still be at it, and no node that
// would take the question for a start.
func TestStartLostWithItsNodeIsAskedAfter(t *testing.T) {
	start := startOf(1, 1)
	begun := messages.Answer{Call: &messages.Call{ID: start.Call}}
	for what, c := range map[string]struct {
		first  error
		speaks int
		want   messages.Code
		tries  int
	}{
		"the node is gone":                           {placement.ErrLost, actors.Protocol, messages.OK, 2},
		"the node may be at it":                      {errors.New("no answer"), actors.Protocol, messages.CodeOutcomeUnknown, 1},
		"who takes over is of an earlier version":    {placement.ErrLost, 1, messages.CodeOutcomeUnknown, 1},
		"the node did not get it":                    {placement.ErrNotSent, 1, messages.OK, 2},
		"what became of it is not known at the node": {nil, actors.Protocol, messages.OK, 2},
	} {
		t.Run(what, func(t *testing.T) {
			other := &node{home: "elsewhere", speaks: c.speaks, answer: func(n int64) (any, error) {
				if n == 1 {
					return messages.Answer{Code: messages.CodeOutcomeUnknown}, c.first
				}
				return begun, nil
			}}
			asked := triesOf(t, other)
			s, _ := newSystem(t, func(c *actors.Config) { c.Placement = other })
			want(t, s.StartCall(t.Context(), start), c.want)
			tries := asked()
			if len(tries) != c.tries {
				t.Fatalf("%d tries, want %d: %+v", len(tries), c.tries, tries)
			}
			if len(tries) < 2 {
				return
			}
			again, ok := tries[1].(wire.StartAgain)
			if lost := !errors.Is(c.first, placement.ErrNotSent); ok != lost || ok && again.Start.Call != start.Call {
				t.Errorf("the second try was %T: %+v", tries[1], tries[1])
			}
		})
	}
}

// An end that names no call has its effect once all the same: it gets a key on its way.
func TestEndThatNamesNoCallCanBeLostWithItsNode(t *testing.T) {
	for _, end := range []func(*actors.System) messages.Answer{
		func(s *actors.System) messages.Answer { return s.EndCall(t.Context(), endOf(1)) },
		func(s *actors.System) messages.Answer {
			return s.SaveLog(t.Context(), messages.SaveLog{User: userN(1)})
		},
	} {
		other := &node{home: "elsewhere", answer: func(n int64) (any, error) {
			if n == 1 {
				return nil, placement.ErrLost
			}
			return messages.Answer{}, nil
		}}
		asked := triesOf(t, other)
		s, _ := newSystem(t, func(c *actors.Config) { c.Placement = other })
		want(t, end(s), messages.OK)
		var keys []messages.Key
		for _, m := range asked() {
			switch m := m.(type) {
			case messages.EndCall:
				keys = append(keys, *m.Key)
			case messages.SaveLog:
				keys = append(keys, *m.Key)
			}
		}
		if len(keys) != 2 || keys[0] != keys[1] || keys[0].Value == "" {
			t.Errorf("the keys of both tries are %+v", keys)
		}
	}
}

// releaseOf is the release of a call by an administrator who means that one.
func releaseOf(c *messages.Call) messages.EndCall {
	return messages.EndCall{
		User: c.UserID, Call: c.ID, Reason: messages.ReasonForceReleased, Audit: &messages.Audit{Action: "call.force_released"},
	}
}

// A node commits the release of a call and is gone before it answers. Who asks again is
// told that this release ended it: whoever sees that there was nothing to end says that the
// call had been over before.
func TestReleaseLostWithItsNodeIsNotDenied(t *testing.T) {
	home, _ := newSystem(t, func(c *actors.Config) { c.Placement = &node{} })
	began := want(t, home.StartCall(t.Context(), startOf(1, 1)), messages.OK)
	other := &node{home: "elsewhere"}
	other.carry = func(n int64, request []byte) ([]byte, error) {
		answers := make(chan []byte, 1)
		home.Hear(request, func(b []byte) { answers <- b })
		answer := <-answers
		if n == 1 {
			return nil, placement.ErrLost
		}
		return answer, nil
	}
	s, _ := newSystem(t, func(c *actors.Config) { c.Placement = other })
	released := want(t, s.EndCall(t.Context(), releaseOf(began.Call)), messages.OK)
	if released.Ended == nil || released.Ended.ID != began.Call.ID {
		t.Errorf("the release ended %+v, want %v", released.Ended, began.Call.ID)
	}
	if n := other.asked.Load(); n != 2 {
		t.Errorf("%d tries, want 2", n)
	}
}

// A key is a round trip more, which only a release needs: other ends that name their call
// are answered alike by whichever try.
func TestEndsThatNeedNoKey(t *testing.T) {
	given, call := &messages.Key{Caller: "user:1", Value: "given"}, newCall()
	end := messages.EndCall{User: userN(1), Call: call, Reason: messages.ReasonCompleted}
	release := releaseOf(&messages.Call{ID: call, UserID: userN(1)})
	release.Key = given
	for _, c := range []struct {
		end  messages.EndCall
		want *messages.Key
	}{{end, nil}, {release, given}} {
		other := &node{home: "elsewhere", answer: func(int64) (any, error) { return messages.Answer{}, nil }}
		asked := triesOf(t, other)
		s, _ := newSystem(t, func(c *actors.Config) { c.Placement = other })
		want(t, s.EndCall(t.Context(), c.end), messages.OK)
		sent := asked()[0].(messages.EndCall)
		if (sent.Key == nil) != (c.want == nil) || c.want != nil && *sent.Key != *c.want {
			t.Errorf("the key is %+v, want %+v", sent.Key, c.want)
		}
	}
}

// What a node is asked about a start that was lost is answered by what the store has.
func TestStartAskedAfterAtItsNewHome(t *testing.T) {
	s, _ := newSystem(t, func(c *actors.Config) { c.Placement = &node{} })
	codec := wire.NewCodec()
	ask := func(start messages.StartCall) messages.Answer {
		t.Helper()
		b, err := codec.Encode(wire.StartAgain{Start: start}, actors.Protocol, hangGuard)
		if err != nil {
			t.Fatal(err)
		}
		answers := make(chan []byte, 1)
		s.Hear(b, func(b []byte) { answers <- b })
		m, _, err := codec.Decode(<-answers)
		if err != nil {
			t.Fatal(err)
		}
		return m.(messages.Answer)
	}
	first, second := startOf(1, 1), startOf(1, 2)
	began := want(t, ask(first), messages.OK) // it was never carried out
	if again := want(t, ask(first), messages.OK); again.Call == nil || *again.Call != *began.Call {
		t.Errorf("in progress: %+v, want %+v", again.Call, began.Call)
	}
	want(t, s.EndCall(t.Context(), endOf(1)), messages.OK)
	want(t, s.StartCall(t.Context(), second), messages.OK)
	if again := want(t, ask(first), messages.OK); again.Call == nil || *again.Call != *began.Call {
		t.Errorf("when it is over: %+v, want %+v", again.Call, began.Call)
	}
	want(t, ask(startOf(1, 3)), messages.CodeUserOnCall)
}

const hangGuard = 30 * time.Second
