package actors

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/internal/wire"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/placement"
)

const (
	// homeWithin is how long is looked for a node that takes a request: longer than it
	// takes to find out that one is gone and to take its actors over.
	homeWithin = 5 * time.Second
	// firstPause and mostPause are between two looks.
	firstPause = time.Millisecond
	mostPause  = 50 * time.Millisecond
	// againAfter is when a request that may be made twice is made again.
	againAfter = time.Second
	// reserveAgain is when a reservation that is not answered is asked for again. A
	// client actor that has it in hand knows it by its call.
	reserveAgain = 50 * time.Millisecond
)

// commandAnywhere has a command carried out where its user's actor lives. What was
// surely not begun is tried again, elsewhere if need be; what may have been done is tried
// again only if that has no effect twice.
func (s *System) commandAnywhere(ctx context.Context, u messages.UserID, do any) messages.Answer {
	answer, ok := anywhere(ctx, s, u.UUID, do, repeatable(do), func(ctx context.Context) (messages.Answer, bool) {
		a := s.commandHere(ctx, u, do)
		return a, a.Code != notHere
	}, func(a messages.Answer) bool { return a.Code != notHere })
	switch {
	case ok:
		return answer
	case answer.Code == messages.CodeOutcomeUnknown:
		return answer
	}
	return messages.Answer{Code: messages.CodeUnavailable}
}

func (s *System) availabilityAnywhere(ctx context.Context, c messages.ClientID) messages.Availability {
	answer, ok := anywhere(ctx, s, c.UUID, wire.Check{Client: c}, true, func(ctx context.Context) (messages.Availability, bool) {
		a := s.availabilityHere(ctx, c)
		return a, a.Code != notHere
	}, func(a messages.Availability) bool { return a.Code != notHere })
	if !ok {
		return messages.Availability{Code: messages.CodeUnavailable}
	}
	return answer
}

// anywhere makes a request of the actor of id, wherever it lives, until it is answered.
// Its answer without ok has no code if nothing was done, and CodeOutcomeUnknown if that
// is not known.
func anywhere[A messages.Answer | messages.Availability](
	ctx context.Context, s *System, id uuid.UUID, request any, repeat bool,
	here func(context.Context) (A, bool), final func(A) bool,
) (answer A, ok bool) {
	until := time.Now().Add(homeWithin)
	doubt := false // an earlier try may have had its effect
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		node, isHere := s.config.Placement.Home(id)
		if isHere {
			if answer, ok := here(ctx); ok {
				return inDoubt(answer, doubt), true
			}
		} else if node != "" {
			answer, err := askNode[A](ctx, s, node, request, repeat)
			switch {
			case err == nil && final(answer):
				return inDoubt(answer, doubt), true
			case err == nil, errors.Is(err, placement.ErrNotSent), errors.Is(err, wire.ErrNotUnderstood):
			case !repeat:
				return unknown[A](), false
			default:
				doubt = true
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		if ctx.Err() != nil || time.Now().After(until) {
			if doubt {
				return unknown[A](), false
			}
			return answer, false
		}
	}
}

// inDoubt is the answer to a request of which an earlier try may have had its effect: that
// nothing was done is true of this try alone.
func inDoubt[A messages.Answer | messages.Availability](answer A, doubt bool) A {
	if a, ok := any(answer).(messages.Answer); ok && doubt && nothingDone(a.Code) {
		return unknown[A]()
	}
	return answer
}

// nothingDone reports whether a code says that a command was not carried out, and
// another try may be.
func nothingDone(c messages.Code) bool {
	return c == messages.CodeUnavailable || c == messages.CodeOverloaded
}

func unknown[A messages.Answer | messages.Availability]() (a A) {
	switch a := any(&a).(type) {
	case *messages.Answer:
		a.Code = messages.CodeOutcomeUnknown
	case *messages.Availability:
		a.Code = messages.CodeUnavailable
	}
	return a
}

// askNode makes one request of a node.
func askNode[A any](ctx context.Context, s *System, node string, request any, repeat bool) (answer A, err error) {
	within := homeWithin
	if d, ok := ctx.Deadline(); ok {
		within = time.Until(d)
	}
	b, err := s.codec.Encode(request, s.config.Placement.Speaks(node), within)
	if err != nil {
		return answer, err
	}
	if repeat {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, againAfter)
		defer cancel()
	}
	if !s.enterFar() {
		return answer, placement.ErrNotSent
	}
	defer s.asks.Done()
	b, err = s.config.Placement.Ask(ctx, node, b)
	if err != nil {
		return answer, err
	}
	m, _, err := s.codec.Decode(b)
	if err != nil {
		return answer, err
	}
	answer, ok := m.(A)
	if !ok {
		return answer, errors.New("a node answered something else")
	}
	return answer, nil
}

// repeatable reports whether a command has its effect once, however often it is carried
// out.
func repeatable(do any) bool {
	switch do := do.(type) {
	case messages.StartCall:
		return do.Key != nil
	case messages.EndCall:
		return do.Key != nil || !do.Call.IsZero()
	case messages.SaveLog:
		return do.Key != nil
	}
	return true // renewals, and reports, which the store knows
}

// toUser sends a message of a client actor to a user actor, wherever it lives. Between
// nodes it may be lost; both machines live with that.
func (s *System) toUser(id messages.UserID, m any) {
	local := m
	if again, ok := m.(wire.Again); ok {
		local = user.Again{Call: again.Call}
	}
	if !s.users.send(id.UUID, local) {
		s.tell(id.UUID, m)
	}
}

// toClient sends a message of a user actor to a client actor, wherever it lives.
func (s *System) toClient(id messages.ClientID, m any) {
	if s.config.Placement == nil {
		s.clients.send(id.UUID, m)
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
	if !s.clients.send(id.UUID, m) {
		s.tell(id.UUID, m)
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
	case messages.Reserved:
		s.users.send(m.User.UUID, m)
	case messages.Refused:
		s.users.send(m.User.UUID, m)
	case messages.AskHolder:
		s.users.send(m.User.UUID, m)
	case wire.Again:
		s.users.send(m.User.UUID, user.Again{Call: m.Call})
	case messages.Reserve:
		s.clients.send(m.Client.UUID, m)
	case messages.Withdraw:
		s.clients.send(m.Client.UUID, m)
	case messages.Confirm:
		s.clients.send(m.Call.ClientID.UUID, m)
	case messages.Lost:
		s.clients.send(m.Client.UUID, m)
	case messages.Released:
		s.clients.send(m.Client.UUID, m)
	case messages.HolderSays:
		s.clients.send(m.Client.UUID, m)
	case wire.Forget:
		s.clients.sendIfAwake(m.Client.UUID, client.Forget{})
	default:
		s.hearRequest(m, about, answer)
	}
}
