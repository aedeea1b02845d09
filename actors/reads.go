package actors

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// Actors that wake together are read for together: a read costs the store
// about the same for one as for many.

const readTimeout = 3 * time.Second

// load is a user actor that waits for its claim.
type load struct {
	user        messages.UserID
	to          *place
	incarnation uint32
}

// seek is a user actor that waits for word whether a call has ended.
type seek struct {
	call        messages.CallID
	to          *place
	incarnation uint32
}

// look is a client actor that waits for word about its client.
type look struct {
	client messages.ClientID
	serial uint64
	to     *place
}

func (s *System) loadUsers(batch []load) {
	ids := make([]messages.UserID, len(batch))
	for i, l := range batch {
		ids[i] = l.user
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	claims, err := s.reader.ClaimsOfUsers(ctx, ids)
	if err != nil {
		s.gate.shut(err)
	}
	byUser := make(map[messages.UserID]*messages.HeldClaim, len(claims))
	for i := range claims {
		byUser[claims[i].UserID] = &claims[i]
	}
	for _, l := range batch {
		m := loaded{incarnation: l.incarnation, message: user.LoadFailed{}}
		if err == nil {
			m.message = user.Loaded{Claim: byUser[l.user]}
		}
		s.users.reply(l.to, m)
	}
}

func (s *System) seekCalls(batch []seek) {
	ids := make([]messages.CallID, len(batch))
	for i, k := range batch {
		ids[i] = k.call
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	ended, err := s.reader.EndedCalls(ctx, ids)
	if err != nil {
		s.gate.shut(err)
	}
	byID := make(map[messages.CallID]*messages.Call, len(ended))
	for i := range ended {
		byID[ended[i].ID] = &ended[i]
	}
	for _, k := range batch {
		m := loaded{incarnation: k.incarnation, message: user.SeekFailed{Call: k.call}}
		if err == nil {
			m.message = user.Sought{Call: k.call, Ended: byID[k.call]}
		}
		s.users.reply(k.to, m)
	}
}

func (s *System) lookUpClients(batch []look) {
	ids := make([]messages.ClientID, len(batch))
	for i, l := range batch {
		ids[i] = l.client
	}
	claims, exists, err := s.readClients(ids)
	if err != nil {
		s.gate.shut(err)
	}
	for _, l := range batch {
		if err != nil {
			s.clients.reply(l.to, client.LookUpFailed{Serial: l.serial})
			continue
		}
		claim := claims[l.client.UUID]
		s.clients.reply(l.to, client.LookedUp{
			Serial: l.serial, Exists: claim != nil || exists[l.client.UUID], Claim: claim,
		})
	}
}

func (s *System) readClients(ids []messages.ClientID) (map[uuid.UUID]*messages.HeldClaim, map[uuid.UUID]bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	existing, err := s.reader.ExistingClients(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	held, err := s.reader.ClaimsOfClients(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	exists := make(map[uuid.UUID]bool, len(existing))
	for _, id := range existing {
		exists[id.UUID] = true
	}
	claims := make(map[uuid.UUID]*messages.HeldClaim, len(held))
	for i := range held {
		claims[held[i].ClientID.UUID] = &held[i]
	}
	return claims, exists, nil
}
