package membership_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/dibs-calls/dibs/placement"
	"github.com/dibs-calls/dibs/placement/membership"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a register, a carrier and a store that all nodes of a test share.
type world struct {
	mu      sync.Mutex
	members map[string]placement.Member
	hear    map[string]func([]byte, func([]byte))
	away    map[string]bool // names of nodes that cannot reach the register
	ended   int
	settled int  // how often it was waited for what a node wrote
	stuck   bool // something that was written is never over
}

func newWorld() *world {
	return &world{members: map[string]placement.Member{}, hear: map[string]func([]byte, func([]byte)){}, away: map[string]bool{}}
}

func (w *world) Exchange(_ context.Context, own placement.Member) ([]placement.Member, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away[own.Name] {
		return nil, errors.New("away")
	}
	if w.members[own.ID].Left {
		return nil, membership.ErrEvicted
	}
	w.members[own.ID] = own
	var all []placement.Member
	for _, m := range w.members {
		all = append(all, m)
	}
	return all, nil
}

func (w *world) Remove(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.members[id] = placement.Member{ID: id, Left: true}
	return nil
}

func (*world) Changed() <-chan struct{} { return nil }

func (w *world) Listen(id string, hear func([]byte, func([]byte))) (func(), error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hear[id] = hear
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.hear, id)
	}, nil
}

func (w *world) Ask(ctx context.Context, id string, request []byte) ([]byte, error) {
	w.mu.Lock()
	hear := w.hear[id]
	w.mu.Unlock()
	if hear == nil {
		return nil, placement.ErrNotSent
	}
	answers := make(chan []byte, 1)
	hear(request, func(b []byte) { answers <- b })
	select {
	case b := <-answers:
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (*world) Tell(string, []byte) error { return nil }

func (*world) Enlist(string, func() bool, func() bool) {}

func (w *world) Settle(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled++
	if w.stuck || w.settled == 1 {
		return errors.New("a write is not over")
	}
	return nil
}

func (w *world) Outlive(context.Context, []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended++
	return nil
}

// host keeps no actors, and answers or does not.
type host struct {
	silent bool
	mu     sync.Mutex
	letGo  int
}

func (h *host) LetGo(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.letGo++
	return nil
}

func (*host) Rest(context.Context) error { return nil }

func (h *host) Hear(message []byte, answer func([]byte)) {
	if answer != nil && !h.silent {
		answer(append([]byte("heard "), message...))
	}
}

func join(t *testing.T, w *world, name string, h *host) *membership.Node {
	t.Helper()
	return joinBy(t, w, name, h, nil)
}

// joinBy is join with a clock.
func joinBy(t *testing.T, w *world, name string, h *host, now func() time.Time) *membership.Node {
	t.Helper()
	n := membership.New(membership.Config{
		Self:     placement.Member{Name: name, Role: placement.RoleAll, Speaks: 1},
		Register: w, Carrier: w, Sessions: w, Log: slog.New(slog.DiscardHandler), Now: now,
	})
	if err := n.Join(h); err != nil {
		t.Fatal(err)
	}
	return n
}

// A machine is suspended, and its node wakes up with what it remembered. By a clock that
// counted the time it tells nothing of it, from the first moment on, and joins anew; who was
// awake is not taken for gone meanwhile.
func TestSuspendedNodeTrustsItselfNoMore(t *testing.T) {
	t.Parallel()
	w, hosts := newWorld(), [2]host{}
	var asleep atomic.Int64
	a := joinBy(t, w, "a", &hosts[0], func() time.Time { return time.Now().Add(time.Duration(asleep.Load())) })
	b := join(t, w, "b", &hosts[1])
	defer func() {
		for _, n := range []*membership.Node{a, b} {
			if err := n.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}()
	waitFor(t, "both keep actors", func() bool { return min(spread(a, b)[0], spread(a, b)[1]) > 0 && a.Valid() })
	idOf := func(name string) string {
		for _, m := range b.Members() {
			if m.Name == name && !m.Left {
				return m.ID
			}
		}
		return ""
	}
	before, other := idOf("a"), idOf("b")
	asleep.Store(int64(time.Hour))
	if a.Valid() {
		t.Error("a node that was suspended for an hour trusts what it remembers")
	}
	waitFor(t, "it has joined anew", func() bool { id := idOf("a"); return id != "" && id != before && a.Valid() })
	if idOf("b") != other {
		t.Error("the node that was awake was taken for gone")
	}
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// spread reports how many of some ids are kept by each node.
func spread(nodes ...*membership.Node) []int {
	kept := make([]int, len(nodes))
	for i := range 100 {
		id := uuid.UUID{byte(i), 9: byte(3 * i)}
		for j, n := range nodes {
			if _, here := n.Home(id); here {
				kept[j]++
			}
		}
	}
	return kept
}

func TestNodesJoinLeaveAndLoseTouch(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var hosts [2]host
	a := join(t, w, "a", &hosts[0])
	waitFor(t, "the first node to keep everything", func() bool { return a.Alone() && a.Ready() == nil })
	b := join(t, w, "b", &hosts[1])
	waitFor(t, "two nodes to share", func() bool {
		kept := spread(a, b)
		return kept[0]+kept[1] == 100 && kept[1] > 20 && b.Ready() == nil
	})
	if w.mu.Lock(); w.settled < 2 {
		t.Errorf("the first one shared what it had when it was asked %d times whether it has written all", w.settled)
	}
	w.mu.Unlock()

	var far string
	for i := 0; far == ""; i++ {
		if home, here := a.Home(uuid.UUID{byte(i)}); !here {
			far = home
		}
	}
	if answer, err := a.Ask(t.Context(), far, []byte("hello")); err != nil || string(answer) != "heard hello" {
		t.Errorf("the other node answered %q, %v", answer, err)
	}
	if v := a.Speaks(far); v != 1 {
		t.Errorf("they both speak version %d", v)
	}

	hosts[1].silent = true
	lost := make(chan error, 1)
	go func() {
		_, err := a.Ask(context.Background(), far, []byte("hello"))
		lost <- err
	}()
	w.mu.Lock()
	w.away["b"] = true
	w.mu.Unlock()
	waitFor(t, "the node that lost touch to stop believing itself", func() bool { return !b.Valid() })
	waitFor(t, "the other one to take over", a.Alone)
	if err := <-lost; !errors.Is(err, placement.ErrLost) {
		t.Errorf("who waited for it was told %v", err)
	}
	if b.Ready() == nil || spread(b)[0] > 0 {
		t.Error("the node that lost touch says that it is ready, or keeps actors")
	}

	w.mu.Lock()
	w.away["b"] = false
	w.mu.Unlock()
	waitFor(t, "it to be back", func() bool { kept := spread(a, b); return kept[0]+kept[1] == 100 && kept[1] > 20 })
	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if spread(b)[0] > 0 || b.Ready() == nil {
		t.Error("the node that left keeps actors")
	}
	waitFor(t, "the other one to keep everything", a.Alone)
	for _, n := range []*membership.Node{b, a} {
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A node of which something may still come does not say that it is gone: others find
// out, and end its sessions first.
func TestLeavesOnlyWhenNothingMoreComes(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var hosts [2]host
	a, b := join(t, w, "a", &hosts[0]), join(t, w, "b", &hosts[1])
	waitFor(t, "two nodes to share", func() bool { kept := spread(a, b); return kept[0]+kept[1] == 100 && kept[1] > 20 })
	w.mu.Lock()
	w.stuck = true
	w.mu.Unlock()
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Leave(soon); err == nil {
		t.Error("it has left, though something that it wrote is not over")
	}
	if err := b.Close(soon); err == nil {
		t.Error("it has ended without a word of it")
	}
	w.mu.Lock()
	for _, m := range w.members {
		if m.Left {
			t.Errorf("node %s is said to be gone", m.Name)
		}
	}
	ended := w.ended
	w.stuck = false
	w.mu.Unlock()
	waitFor(t, "the other one to keep everything", a.Alone)
	if w.mu.Lock(); w.ended == ended {
		t.Error("the sessions of who is gone were not ended")
	}
	w.mu.Unlock()
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
