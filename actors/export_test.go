package actors

import (
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// Break makes the actor of u panic.
func (s *System) Break(u messages.UserID) {
	s.users.send(u.UUID, user.Written{}) // nothing is being written: a defect, as the machine sees it
}

// BreakClient makes the actor of c panic.
func (s *System) BreakClient(c messages.ClientID) {
	s.clients.send(c.UUID, client.Check{Asker: "nobody that a shell can answer"})
}

// SettleClients waits until no client actor has a reminder to come.
func (s *System) SettleClients() {
	done := make(chan struct{})
	time.AfterFunc(client.RemindAfter+client.RemindAfter/2, func() { close(done) })
	<-done
}

// Place is where an actor lives, or lived.
type Place = place

// UserPlace returns where the actor of u lives.
func (s *System) UserPlace(u messages.UserID) *Place { return s.users.at(u.UUID) }

// ClientPlace returns where the actor of c lives.
func (s *System) ClientPlace(c messages.ClientID) *Place { return s.clients.at(c.UUID) }

func (d *directory) at(id uuid.UUID) *place {
	s := d.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.places[id]
}

// Shows returns what is shown at p: "nothing", "nobody", or the id of a call.
func (p *place) Shows() string {
	switch call := p.shows.Load(); call {
	case nil:
		return "nothing"
	case nobody:
		return "nobody"
	default:
		return call.ID.String()
	}
}
