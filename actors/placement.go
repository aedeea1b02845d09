package actors

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors/internal/wire"
	"github.com/dibs-calls/dibs/messages"
)

// Placement says on which node an actor lives, and carries messages to other nodes.
// Implementations are safe for concurrent use.
type Placement interface {
	// Home returns the node at which the actor of id lives, and whether that is this
	// one and the actor may be awake now. Empty: nowhere at the moment; ask again. It
	// must be quick, and must not call the system.
	Home(id uuid.UUID) (node string, here bool)
	// Valid reports whether what actors of this node remember may be told now: no other
	// node can have taken them over. Its clock goes on while the process is stopped.
	Valid() bool
	// Alone reports whether all actors live here.
	Alone() bool
	// Ask sends a request to a node and waits for the answer. placement.ErrNotSent:
	// nobody got it. Any other error: it is not known what became of it.
	Ask(ctx context.Context, node string, request []byte) ([]byte, error)
	// Tell sends a message that may be lost.
	Tell(node string, message []byte) error
	// Speaks returns the highest version of the protocol that a node and this one both
	// understand; zero if the node is not known.
	Speaks(node string) int
}

// Protocol is the highest version of what nodes say to each other that this program
// speaks.
const Protocol = wire.Version

// notHere says that the actor lives elsewhere, or cannot decide now: nothing was done.
// It never leaves the system.
const notHere messages.Code = "not here"

func (s *System) admits() func(uuid.UUID) bool {
	p := s.config.Placement
	if p == nil {
		return nil
	}
	return func(id uuid.UUID) bool {
		_, here := p.Home(id)
		return here
	}
}

// believes reports whether what actors remember may be told now.
func (s *System) believes() bool { return s.config.Placement == nil || s.config.Placement.Valid() }

// distant reports whether actors may live at other nodes.
func (s *System) distant() bool { return s.config.Placement != nil && !s.config.Placement.Alone() }

const (
	// dismissEvery is how often is looked whether the actors that are to leave have
	// left, and remindEvery how often they are told again.
	dismissEvery = time.Millisecond
	remindEvery  = 100
)

// LetGo stops all actors that do not live here any more, and returns when they have
// stopped: what they had under way is committed or given up by then, and what they had
// not begun was given back to whoever asked.
func (s *System) LetGo(ctx context.Context) error {
	tick := time.NewTicker(dismissEvery)
	defer tick.Stop()
	for round := 1; ; round++ {
		again := round%remindEvery == 0 // an actor that panicked has forgotten it
		if s.users.dismiss(again)+s.clients.dismiss(again) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopped:
			return nil
		}
	}
}

// Rest returns when nothing waits to be written, and nothing is being written.
func (s *System) Rest(ctx context.Context) error {
	done := make(chan struct{})
	s.journal.send(finish{done: done})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return nil
	}
}
