package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/internal/wire"
	"github.com/dibs-calls/dibs/messages"
)

// clientShell gives the state machine of one client its clock, its mailbox and
// its effects. Its fields are touched only by the goroutine that runs its
// mailbox.
type clientShell struct {
	system   *System
	place    *place
	state    client.State
	handling any // the message under way, for the case of a panic
	leaving  bool
}

// start begins a life that knows nothing.
func (s *clientShell) start(self *actor.PID) {
	id, p := s.system.clients.whoIs(self)
	s.place = p
	s.state = client.New(messages.ClientID{UUID: id}, s.system.incarnations.Add(1), s.system.config.Shared)
}

func (s *clientShell) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.start(ctx.Self())
	case *actor.Stopping:
	case *actor.Restarting:
		s.abandon()
	case *actor.Stopped:
		s.abandon()
		s.system.clients.evict(s.state.Client.UUID, s.place)
	default:
		defer s.place.inbox.Add(-1)
		s.handling = m
		s.handle(ctx, m)
		s.handling = nil
	}
}

func (s *clientShell) handle(ctx actor.Context, m any) {
	if _, ok := m.(retire); ok {
		if s.state.CanStop() && s.system.clients.vacate(s.state.Client.UUID, s.place) {
			ctx.Stop(ctx.Self())
		}
		return
	}
	if _, ok := m.(leave); ok {
		s.leaving = true
	}
	if s.leaving {
		s.leave(ctx, m)
		return
	}
	s.state.Distant = s.system.distant()
	room := s.system.clientEffects.enter()
	s.state, room.effects = client.Step(s.state, s.system.now(), m, room.effects)
	s.place.show(s.state.Glance())
	for _, e := range room.effects {
		s.carryOut(e)
	}
	s.system.clientEffects.leave(room)
}

// leave gives back whoever waits here, and stops the actor. What it knows can be found
// out where it is to live; a message that still comes here is as good as lost.
func (s *clientShell) leave(ctx actor.Context, m any) {
	askers, reservations := s.state.Waiting()
	switch m := m.(type) {
	case client.Check:
		askers = append(askers, m.Asker)
	case messages.Reserve:
		reservations = append(reservations, m)
	}
	for _, a := range askers {
		reply(a, messages.Availability{Code: notHere})
	}
	for _, r := range reservations {
		s.system.toUserAgain(wire.Again{User: r.User, Call: r.Call})
	}
	s.state = client.New(s.state.Client, s.system.incarnations.Add(1), s.state.Shared)
	s.place.show(nil, false)
	if s.system.clients.vacate(s.state.Client.UUID, s.place) {
		ctx.Stop(ctx.Self())
	}
}

func (s *clientShell) carryOut(e client.Effect) {
	switch e := e.(type) {
	case client.LookUp:
		s.system.clientLooks.add(look{client: s.state.Client, serial: e.Serial, to: s.place})
	case client.Remind:
		clients, id := s.system.clients, s.state.Client.UUID
		time.AfterFunc(e.After, func() { clients.sendIfAwake(id, client.Reminder{}) })
	case client.Reply:
		if !s.system.believes() {
			e.Availability = messages.Availability{Code: notHere}
		}
		mustReply(e.To, e.Availability)
	case messages.ForUser:
		s.system.toUser(e)
	}
}

// abandon tells everybody who asked this incarnation about availability that
// it is gone. Reservations are put back in line for the next one; the holder is
// learned from the store's index.
func (s *clientShell) abandon() {
	s.place.show(nil, false)
	askers, reservations := s.state.Waiting()
	if c, ok := s.handling.(client.Check); ok {
		askers = append(askers, c.Asker)
	}
	for _, a := range askers {
		reply(a, messages.Availability{Code: messages.CodeOutcomeUnknown})
	}
	for _, r := range reservations {
		s.system.clients.sendIfAwake(r.Client.UUID, r)
	}
	s.state, s.handling = client.New(s.state.Client, 0, s.state.Shared), nil
}
