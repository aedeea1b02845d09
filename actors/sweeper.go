package actors

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

const sweepLimit = 1000

// sweep ends calls whose lease has run out (I5) and retires actors that are
// not used, until ctx is done.
func (s *System) sweep(ctx context.Context) {
	expire := time.NewTicker(s.config.SweepEvery)
	defer expire.Stop()
	retire := time.NewTicker(s.config.RetireAfter)
	defer retire.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-expire.C:
			s.expireLeases(ctx)
		case <-retire.C:
			s.users.retireUnused()
			s.clients.retireUnused()
		}
	}
}

// expireLeases tells the user actors of calls whose lease the store says has
// run out. The store has the last word when they release.
func (s *System) expireLeases(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	overdue, err := s.reader.Expired(ctx, sweepLimit)
	if err != nil {
		if ctx.Err() == nil {
			s.gate.shut(err)
		}
		return
	}
	for _, c := range overdue {
		s.users.send(c.UserID.UUID, &user.Command{Do: messages.ExpireCall{User: c.UserID, Call: c.ID, Token: c.Token}})
	}
}
