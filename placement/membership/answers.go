package membership

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/placement"
)

// Home returns the member at which the actor of id lives, and whether that is this
// node and it may wake the actor now. Empty: nobody may at the moment, ask again.
func (n *Node) Home(id uuid.UUID) (member string, here bool) {
	return n.homes.Load().Home(id)
}

// Valid reports whether what the actors of this node remember may be told now. Its clock
// ([Config.Now]) goes on while the process is stopped.
func (n *Node) Valid() bool { return n.valid() }

func (n *Node) valid() bool { return int64(n.cfg.Now().Sub(n.start)) < n.validUntil.Load() }

func (n *Node) validAs(id string) bool {
	n.mu.Lock()
	same := n.core.Self().ID == id && !n.fenced
	n.mu.Unlock()
	return same && n.valid()
}

// Alone reports whether every actor lives at this node.
func (n *Node) Alone() bool { return n.homes.Load().Alone() }

// Speaks returns the highest version of messages that a member and this node both
// understand; zero if the member is not known.
func (n *Node) Speaks(member string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	p, ok := n.peers[member]
	if !ok {
		return 0
	}
	return min(p.speaks, n.cfg.Self.Speaks)
}

// Ask sends a request to a member and waits for the answer, as long as ctx lets it and
// the member is there.
func (n *Node) Ask(ctx context.Context, member string, request []byte) ([]byte, error) {
	n.mu.Lock()
	p, ok := n.peers[member]
	n.mu.Unlock()
	if !ok {
		return nil, placement.ErrNotSent
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	began := time.Now()
	answer, err := n.cfg.Carrier.Ask(ctx, member, request)
	n.cfg.Observer.Asked(time.Since(began), err)
	if err != nil && p.ctx.Err() != nil && !errors.Is(err, placement.ErrNotSent) {
		return nil, placement.ErrLost
	}
	return answer, err
}

// Tell sends a message that may be lost.
func (n *Node) Tell(member string, message []byte) error {
	return n.cfg.Carrier.Tell(member, message)
}

// Leave gives the actors of this node to others, and returns when nothing lives here
// any more. Alone there is nobody to give them to, and nothing happens. Requests for
// actors elsewhere are carried on until Close.
func (n *Node) Leave(ctx context.Context) error {
	n.ready.Store(false)
	n.mu.Lock()
	if n.core == nil || n.alone() {
		n.mu.Unlock()
		return nil
	}
	n.leaving = true
	if n.handed == nil {
		n.handed = make(chan struct{})
	}
	handed := n.handed
	n.core.Leave()
	n.mu.Unlock()
	signal(n.adjust)
	select {
	case <-handed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// alone reports whether nobody else keeps actors. The caller holds mu.
func (n *Node) alone() bool {
	for _, id := range n.core.Target() {
		if id != n.core.Self().ID {
			return false
		}
	}
	return true
}

// Reasons why a node is not ready.
var (
	errJoining = errors.New("this node is joining the cluster")
	errFenced  = errors.New("this node has lost touch with the cluster and joins anew")
	errLeaving = errors.New("this node is leaving the cluster")
	errNobody  = errors.New("no node of the cluster keeps actors")
)

// Ready reports why requests should go to other nodes, if so.
func (n *Node) Ready() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.leaving:
		return errLeaving
	case n.fenced:
		return errFenced
	case n.core == nil || !n.ready.Load():
		return errJoining
	case !n.valid():
		return errFenced
	case len(n.core.Target()) == 0:
		return errNobody
	}
	return nil
}

// Members returns all members, this one included.
func (n *Node) Members() []placement.Member {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.core == nil {
		return nil
	}
	return n.core.Members()
}
