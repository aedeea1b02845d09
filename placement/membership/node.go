package membership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/placement"
)

// Config is what a [Node] is made of.
type Config struct {
	Self     placement.Member // without an ID
	Register Register
	Carrier  Carrier
	Sessions Sessions
	Log      *slog.Logger
	Observer Observer // nil: none
	// Now is the clock by which this node trusts itself and judges others. It must be
	// monotonic, and should count the time for which the machine was suspended. Nil: time.Now.
	Now func() time.Time
}

const (
	// beatTimeout is how long one write may take: two more fit into the life of a
	// membership.
	beatTimeout = placement.BeatEvery
	retryAfter  = 50 * time.Millisecond
)

// Node is this process as a member. Its methods are safe for concurrent use.
type Node struct {
	cfg   Config
	host  Host
	log   *slog.Logger
	start time.Time // what validUntil counts from

	// validUntil is until when what the actors remember may be told, in nanoseconds
	// from start.
	validUntil atomic.Int64
	homes      atomic.Pointer[placement.Homes]
	ready      atomic.Bool // this node keeps, or kept, all that it should since it joined

	kick   chan struct{} // beat now
	adjust chan struct{} // something changed

	mu        sync.Mutex
	core      *placement.Core
	fenced    bool // between two incarnations
	leaving   bool
	handed    chan struct{}       // closed when this node has left; made by Leave
	peers     map[string]lifetime // of members, for who waits for their answers
	unhear    func()
	lastError error
	lag       time.Duration // of the last heartbeat that went through

	stop context.CancelFunc
	work sync.WaitGroup
}

// lifetime ends when a member is gone.
type lifetime struct {
	ctx    context.Context //nolint:containedctx // it is the life of a member
	end    context.CancelFunc
	speaks int
}

// New returns a node that is not a member yet: nobody lives here, and nobody is known.
func New(cfg Config) *Node {
	if cfg.Observer == nil {
		cfg.Observer = noObserver{}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	n := &Node{
		cfg: cfg, log: cfg.Log.With("component", "cluster"), start: cfg.Now(),
		kick: make(chan struct{}, 1), adjust: make(chan struct{}, 1), peers: map[string]lifetime{},
	}
	n.homes.Store(&placement.Homes{})
	return n
}

// Join begins to be a member, with the actors that host keeps. Leave and Close follow.
func (n *Node) Join(host Host) error {
	n.host = host
	if err := n.incarnate(); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.work.Go(func() { n.beats(ctx) })
	n.work.Go(func() { n.adjusts(ctx) })
	return nil
}

// incarnate makes this node a new member.
func (n *Node) incarnate() error {
	self := n.cfg.Self
	self.ID = newID()
	unhear, err := n.cfg.Carrier.Listen(self.ID, n.host.Hear)
	if err != nil {
		return fmt.Errorf("listening to other nodes: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unhear = unhear
	n.core = placement.NewCore(self)
	if n.leaving {
		n.core.Leave()
	}
	n.fenced = false
	n.validUntil.Store(0)
	n.cfg.Sessions.Enlist(self.ID, func() bool { return n.validAs(self.ID) },
		func() bool { return n.Alone() && n.validAs(self.ID) })
	n.publish()
	return nil
}

func newID() string {
	id := uuid.New()
	return fmt.Sprintf("%x", id[:])
}

// publish makes what the core knows known. The caller holds mu.
func (n *Node) publish() {
	h := n.core.Homes()
	n.homes.Store(h)
	if h.Settled() || !n.cfg.Self.Role.Keeps() && len(h.Owners().IDs()) > 0 {
		n.ready.Store(true)
	}
}

// beats writes this member to the register until ctx ends.
func (n *Node) beats(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-n.kick:
		case <-n.cfg.Register.Changed():
		}
		began := time.Now()
		err := n.beat(ctx)
		wait := placement.BeatEvery - time.Since(began)
		if err != nil {
			wait = retryAfter
		}
		timer.Reset(max(wait, 0))
	}
}

func (n *Node) beat(ctx context.Context) error {
	n.mu.Lock()
	if n.fenced {
		n.mu.Unlock()
		return nil
	}
	core := n.core
	own := core.Next()
	own.Lag = n.lag
	n.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	began := n.cfg.Now()
	members, err := n.cfg.Register.Exchange(ctx, own)
	ended := n.cfg.Now()
	n.cfg.Observer.Beat(ended.Sub(began), err)

	n.mu.Lock()
	defer n.mu.Unlock()
	if n.core != core || n.fenced {
		return nil // somebody else by now
	}
	defer signal(n.adjust)
	if err != nil {
		n.note(err)
		if errors.Is(err, ErrEvicted) {
			n.validUntil.Store(0)
			n.fenced = true
		}
		return err
	}
	n.note(nil)
	n.lag = ended.Sub(began)
	if !core.Observe(began, ended, own, members) {
		return nil
	}
	n.validUntil.Store(int64(core.ValidUntil().Sub(n.start)))
	n.meet(core.Members())
	n.publish()
	return nil
}

// note logs that the register cannot be reached, and that it can again, once each.
func (n *Node) note(err error) {
	switch {
	case err != nil && n.lastError == nil:
		n.log.Warn("a heartbeat failed", "error", err)
	case err == nil && n.lastError != nil:
		n.log.Info("heartbeats go through again")
	}
	n.lastError = err
}

// meet keeps the lifetimes of all other members. The caller holds mu.
func (n *Node) meet(members []placement.Member) {
	there := make(map[string]bool, len(members))
	for _, m := range members {
		there[m.ID] = true
		if _, known := n.peers[m.ID]; !known && m.ID != n.core.Self().ID {
			ctx, end := context.WithCancel(context.Background())
			n.peers[m.ID] = lifetime{ctx: ctx, end: end, speaks: m.Speaks}
			n.log.Info("a node is there", "node", m.Name, "role", m.Role, "incarnation", m.ID)
		}
	}
	for id, p := range n.peers {
		if !there[id] {
			p.end()
			delete(n.peers, id)
			n.log.Info("a node is gone", "incarnation", id)
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close leaves the register and ends. What was to be handed over was handed over by
// Leave.
func (n *Node) Close(ctx context.Context) error {
	if n.stop == nil {
		return nil
	}
	n.stop()
	n.work.Wait()
	n.mu.Lock()
	id := n.core.Self().ID
	n.validUntil.Store(0)
	n.homes.Store(&placement.Homes{})
	for other, p := range n.peers {
		p.end()
		delete(n.peers, other)
	}
	n.mu.Unlock()
	n.unhear()
	if err := n.cfg.Sessions.Settle(ctx); err != nil {
		return fmt.Errorf("something that this node wrote is not over, so others are left to find out that it is gone: %w", err)
	}
	return n.cfg.Register.Remove(ctx, id)
}
