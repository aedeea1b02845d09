package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// userShell gives the state machine of one user its clock, its mailbox and its
// effects. Its fields are touched only by the goroutine that runs its mailbox.
type userShell struct {
	system      *System
	place       *place
	state       user.State
	incarnation uint32 // of this shell, for reads that come back
	handling    any    // the message under way, for the case of a panic
	leaving     bool   // it is to live elsewhere
}

// start begins a life where the store is, or by waiting for what an earlier
// incarnation at the same place was writing.
func (s *userShell) start(self *actor.PID) {
	id, p := s.system.users.whoIs(self)
	s.place, s.incarnation = p, s.system.incarnations.Add(1)
	s.state = user.State{
		User: messages.UserID{UUID: id}, Shared: s.system.config.Shared, Distant: s.system.config.Placement != nil,
	}
	if p.writing != nil {
		s.state = s.state.Recover()
	}
}

// loaded carries the result of a read to the incarnation that asked for it.
type loaded struct {
	incarnation uint32
	message     user.Message // user.Loaded, LoadFailed, Sought, SeekFailed
}

func (s *userShell) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.start(ctx.Self())
	case *actor.Stopping:
	case *actor.Restarting:
		s.abandon()
	case *actor.Stopped:
		s.abandon()
		s.system.users.evict(s.state.User.UUID, s.place)
	default:
		defer s.place.inbox.Add(-1)
		s.handling = m
		s.handle(ctx, m)
		s.handling = nil
	}
}

func (s *userShell) handle(ctx actor.Context, m any) {
	switch is := m.(type) {
	case retire:
		if s.state.CanStop() && s.system.users.vacate(s.state.User.UUID, s.place) {
			ctx.Stop(ctx.Self())
		}
	case user.Written: // what became of the last write, maybe of an earlier incarnation
		s.place.writing = nil
		s.step(m)
	case loaded:
		if is.incarnation == s.incarnation {
			s.step(is.message)
		}
	case leave:
		s.leaving = true
	default:
		s.step(m)
	}
	if s.leaving {
		s.leave(ctx)
	}
}

// leave stops the actor as soon as nothing that it began is under way.
func (s *userShell) leave(ctx actor.Context) {
	s.step(user.Leave{Answer: messages.Answer{Code: notHere}})
	if s.state.AtRest() && s.system.users.vacate(s.state.User.UUID, s.place) {
		ctx.Stop(ctx.Self())
	}
}

func (s *userShell) step(m user.Message) {
	room := s.system.userEffects.enter()
	s.state, room.effects = user.Step(s.state, s.system.now(), m, room.effects)
	s.place.show(s.state.Glance())
	for _, e := range room.effects {
		s.carryOut(e)
	}
	s.system.userEffects.leave(room)
}

func (s *userShell) carryOut(e user.Effect) {
	switch e := e.(type) {
	case user.Load:
		s.system.userLoads.add(load{user: s.state.User, to: s.place, incarnation: s.incarnation})
	case user.Seek:
		s.system.userSeeks.add(seek{call: e.Call, to: s.place, incarnation: s.incarnation})
	case user.Commit:
		s.place.writing = e.Write
		s.system.journal.send(s.place)
	case user.Reply:
		if !e.Stored && !s.system.believes() {
			e.Answer = messages.Answer{Code: notHere}
		}
		mustReply(e.To, e.Answer)
	case messages.ForClient:
		s.system.toClient(e)
	}
}

// abandon tells everybody who waits for this incarnation that it is gone.
// Questions of client actors are put back in line for the next one.
func (s *userShell) abandon() {
	s.place.show(nil, false)
	askers, questions := s.state.Waiting()
	if c, ok := s.handling.(*user.Command); ok {
		askers = append(askers, c.Asker)
	}
	for _, a := range askers {
		if a != nil {
			reply(a, messages.Answer{Code: messages.CodeOutcomeUnknown})
		}
	}
	for _, q := range questions {
		s.system.users.sendIfAwake(q.User.UUID, q)
	}
	s.state, s.handling = s.state.Forget(), nil
}
