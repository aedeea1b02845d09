package actors

import (
	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/messages"
)

// What an actor would say if it were asked now need not be asked: it follows from the
// state in which the last message left it, and from nothing else while no other message is
// on its way. So each actor shows, after every step and before any effect of it, what
// others ask it about, and two questions that change nothing are answered from there: a
// start of a client that somebody else is calling, and whether a client can be called. It
// spares four and three messages, and as many times waking a goroutine.
//
// Only the actor writes what it shows, and it shows nothing where it would have to look or
// to wait: while its user's call is being committed or ended, in doubt, just awake, or on
// its way out. Then whoever looks asks, as ever. So does everybody where memory cannot be
// trusted without asking others: with a shared store, and in a cluster.

// nobody is shown where there surely is no call. It is never written to.
var nobody = new(messages.HeldClaim) //nolint:gochecknoglobals // never written to

// show has p show what its actor knows for sure.
func (p *place) show(call *messages.HeldClaim, sure bool) {
	switch {
	case !sure:
		call = nil
	case call == nil:
		call = nobody
	}
	if p.shows.Load() != call {
		p.shows.Store(call)
	}
}

// look returns what the actor of id would go by now: a call, nobody, or nil for what
// is not sure. All that was sent to the actor before is in it: the inbox is looked into
// first, and counts a message until its effects were carried out.
func (d *directory) look(id uuid.UUID) *messages.HeldClaim {
	s := d.shard(id)
	s.mu.RLock()
	p := s.places[id]
	s.mu.RUnlock()
	if p == nil || p.inbox.Load() != 0 {
		return nil
	}
	if !p.used.Load() {
		p.used.Store(true)
	}
	return p.shows.Load()
}

// glances reports whether what actors show may be told.
func (s *System) glances() bool { return s.config.Placement == nil && !s.config.Shared }

// seenCalling returns who can be seen to call the client of a start by a user who can be
// seen to be on no call; nil: the start has to be asked for.
//
// Both are true at one moment, that at which the user's actor is looked at: the same call
// of the holder is seen to be on before and after, and a call is on only once.
func (s *System) seenCalling(c messages.StartCall) *messages.Caller {
	if c.Key != nil || !s.glances() || !s.enter() {
		return nil
	}
	defer s.asks.Done()
	call := s.seenHeld(c.Client)
	if call == nil || s.users.look(c.User.UUID) != nobody || s.users.look(call.UserID.UUID) != call {
		return nil
	}
	return callerOf(call)
}

// seenHeld returns the call by which a client can be seen to be held: its holder shows it.
func (s *System) seenHeld(c messages.ClientID) *messages.HeldClaim {
	said := s.clients.look(c.UUID)
	if said == nil || said == nobody {
		return nil
	}
	call := s.users.look(said.UserID.UUID)
	if call == nil || call.ID != said.ID {
		return nil
	}
	return call
}

// seenAvailability returns whether a client can be called, if that can be seen.
func (s *System) seenAvailability(c messages.ClientID) (a messages.Availability, ok bool) {
	if !s.glances() || !s.enter() {
		return a, false
	}
	defer s.asks.Done()
	if call := s.seenHeld(c); call != nil {
		return messages.Availability{Caller: callerOf(call)}, true
	}
	return a, s.clients.look(c.UUID) == nobody
}

func callerOf(call *messages.HeldClaim) *messages.Caller {
	return &messages.Caller{ID: call.UserID, Name: call.Name, CallStartedAt: call.StartedAt}
}
