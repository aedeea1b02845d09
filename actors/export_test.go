package actors

import (
	"time"

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

// Rests reports whether nothing is on its way to the actor of u.
func (s *System) Rests(u messages.UserID) bool {
	shard := s.users.shard(u.UUID)
	shard.mu.RLock()
	defer shard.mu.RUnlock()
	p := shard.places[u.UUID]
	return p != nil && p.inbox.Load() == 0
}
