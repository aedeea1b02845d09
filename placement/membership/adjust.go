package membership

import (
	"context"
	"slices"
	"time"

	"github.com/dibs-calls/dibs/placement"
)

const (
	// endWithin bounds one try to end the sessions of who is gone.
	endWithin = 2 * time.Second
	// lookEvery is how often the adjusting goroutine looks whether the membership has
	// lapsed, when nothing tells it to.
	lookEvery = 100 * time.Millisecond
)

// adjusts makes this node follow what it knows, until ctx ends.
func (n *Node) adjusts(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	first := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.adjust:
		case <-tick.C:
		}
		if n.lapsed() {
			n.rejoin(ctx)
			first = true
			continue
		}
		if first && n.valid() { // who died before this node looked is not in the register
			first = !n.outlive(ctx)
		}
		if first {
			continue
		}
		n.bury(ctx)
		n.follow(ctx)
	}
}

// lapsed reports whether this membership is over.
func (n *Node) lapsed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.fenced && n.core.Lapsed(n.cfg.Now()) {
		n.fenced = true
		n.validUntil.Store(0)
	}
	return n.fenced
}

// rejoin lets go of everything and makes this node a new member.
func (n *Node) rejoin(ctx context.Context) {
	n.ready.Store(false)
	n.cfg.Observer.Fenced()
	n.log.Warn("this node has lost touch with the cluster: it lets go of its actors and joins anew")
	n.mu.Lock()
	old, unhear := n.core.Self().ID, n.unhear
	n.homes.Store(&placement.Homes{})
	n.mu.Unlock()
	unhear()
	// Others may have taken over: what is under way here must not become somebody
	// else's surprise, and a new member begins with nothing.
	for n.host.LetGo(ctx) != nil || n.host.Rest(ctx) != nil {
		if ctx.Err() != nil {
			return
		}
	}
	go func() {
		if n.settle(ctx) { // else others find out, and end its sessions
			n.remove(old)
		}
	}()
	for n.incarnate() != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryAfter):
		}
	}
	signal(n.kick)
}

// remove says that nothing comes any more from a member. If it fails, others find out by
// themselves.
func (n *Node) remove(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	_ = n.cfg.Register.Remove(ctx, id)
}

// outlive ends the sessions of all who are not members. It reports whether it did.
func (n *Node) outlive(ctx context.Context) bool {
	n.mu.Lock()
	gone := n.core.Gone()
	var live []string
	for _, m := range n.core.Members() {
		live = append(live, m.ID)
	}
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	if err := n.cfg.Sessions.Outlive(ctx, live); err != nil {
		n.log.Warn("the sessions of nodes that are gone could not be ended; trying again", "error", err)
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.core.Ended(gone)
	n.publish()
	for _, id := range gone {
		go n.remove(id)
	}
	return true
}

// bury sees to it that nothing comes any more from members that are gone.
func (n *Node) bury(ctx context.Context) {
	n.mu.Lock()
	gone := n.core.Gone()
	n.mu.Unlock()
	if len(gone) > 0 && !n.outlive(ctx) {
		time.AfterFunc(retryAfter, func() { signal(n.adjust) })
	}
}

// follow has this member act by the view that follows from the members.
func (n *Node) follow(ctx context.Context) {
	n.mu.Lock()
	wants := n.core.Wants()
	if slices.Equal(wants, n.core.View()) {
		n.handOver()
		n.mu.Unlock()
		return
	}
	core, acts := n.core, n.core.View()
	n.publish() // nobody is woken here who does not live here by wants
	n.mu.Unlock()
	if n.host.LetGo(ctx) != nil {
		signal(n.adjust)
		return
	}
	if len(acts) > 0 && !n.settle(ctx) { // others are not told yet that they may begin
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.core != core || n.fenced || !slices.Equal(n.core.Wants(), wants) {
		signal(n.adjust)
		return
	}
	n.core.Act(wants)
	n.publish()
	n.cfg.Observer.ViewChanged()
	signal(n.kick)
}

// settle waits until everything is over that this node has begun to write by what it is
// about to give up. It reports whether that is so; if not, it is tried again.
func (n *Node) settle(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	err := n.cfg.Sessions.Settle(ctx)
	if err != nil {
		n.log.Warn("what this node has begun to write is not over; trying again", "error", err)
		time.AfterFunc(retryAfter, func() { signal(n.adjust) })
	}
	return err == nil
}

// handOver tells who waits for it that this node has left: its last view is written.
// The caller holds mu.
func (n *Node) handOver() {
	if n.handed == nil || !n.leaving || !n.core.Published() {
		return
	}
	select {
	case <-n.handed:
	default:
		close(n.handed)
	}
}
