package actors

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/internal/wire"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// reserveAgain is when a reservation that is not answered is asked for again. A
// client actor that has it in hand knows it by its call.
const reserveAgain = 50 * time.Millisecond

// commandAnywhere has a command carried out where its user's actor lives. What was
// surely not begun is tried again, elsewhere if need be; what may have been done is tried
// again only in a way that has no effect twice.
func (s *System) commandAnywhere(ctx context.Context, u messages.UserID, do any) messages.Answer {
	e := errand[messages.Answer]{
		id: u.UUID, request: do, repeat: repeatable(do), again: againOf(do),
		here: func(ctx context.Context, request any) messages.Answer { return s.commandHere(ctx, u, request) },
		code: func(a messages.Answer) messages.Code { return a.Code },
	}
	answer, ok := anywhere(ctx, s, e)
	if !ok && answer.Code != messages.CodeOutcomeUnknown {
		return messages.Answer{Code: messages.CodeUnavailable}
	}
	return answer
}

func (s *System) availabilityAnywhere(ctx context.Context, c messages.ClientID) messages.Availability {
	answer, ok := anywhere(ctx, s, errand[messages.Availability]{
		id: c.UUID, request: wire.Check{Client: c}, repeat: true,
		here: func(ctx context.Context, _ any) messages.Availability { return s.availabilityHere(ctx, c) },
		code: func(a messages.Availability) messages.Code { return a.Code },
	})
	if !ok {
		return messages.Availability{Code: messages.CodeUnavailable}
	}
	return answer
}

// toUser sends a message of a client actor to a user actor, wherever it lives. Between
// nodes it may be lost; both machines live with that.
func (s *System) toUser(m messages.ForUser) {
	if id := m.ToUser().UUID; !s.users.send(id, m) {
		s.tell(id, m)
	}
}

// toUserAgain is toUser for what a user actor hears in words of its own.
func (s *System) toUserAgain(m wire.Again) {
	if !s.users.send(m.User.UUID, user.Again{Call: m.Call}) {
		s.tell(m.User.UUID, m)
	}
}

// toClient sends a message of a user actor to a client actor, wherever it lives.
func (s *System) toClient(m messages.ForClient) {
	id := m.ToClient().UUID
	if s.config.Placement == nil {
		s.clients.send(id, m)
		return
	}
	switch m := m.(type) {
	case messages.HolderSays:
		if m.Is != messages.StandingUnsure && !s.config.Placement.Valid() {
			return // from memory, which may be out of date: the question comes again
		}
	case messages.Reserve:
		if s.distant() {
			time.AfterFunc(reserveAgain, func() { s.users.sendIfAwake(m.User.UUID, user.Again{Call: m.Call}) })
		}
	}
	if !s.clients.send(id, m) {
		s.tell(id, m)
	}
}

// tell sends a message to the node where the actor of id lives; or loses it.
func (s *System) tell(id uuid.UUID, m any) {
	node, here := s.config.Placement.Home(id)
	if here || node == "" {
		return
	}
	b, err := s.codec.Encode(m, s.config.Placement.Speaks(node), 0)
	if err == nil {
		_ = s.config.Placement.Tell(node, b) // lost, like any other
	}
}

// Hear takes a message of another node; answer is nil if it wants none. It does not
// block.
func (s *System) Hear(message []byte, answer func([]byte)) {
	m, about, err := s.codec.Decode(message)
	if err != nil {
		s.answerFar(answer, 1, messages.Answer{Code: notHere})
		return
	}
	switch m := m.(type) {
	case messages.ForUser:
		s.users.send(m.ToUser().UUID, m)
	case wire.Again:
		s.users.send(m.User.UUID, user.Again{Call: m.Call})
	case messages.ForClient:
		s.clients.send(m.ToClient().UUID, m)
	case wire.Forget:
		s.clients.sendIfAwake(m.Client.UUID, client.Forget{})
	default:
		s.hearRequest(m, about, answer)
	}
}
