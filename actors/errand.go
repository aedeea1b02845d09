package actors

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors/internal/wire"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/placement"
)

const (
	// homeWithin is how long is looked for a node that takes a request: longer than it
	// takes to find out that one is gone and to take its actors over.
	homeWithin = 5 * time.Second
	// firstPause and mostPause are between two looks.
	firstPause = time.Millisecond
	mostPause  = 20 * time.Millisecond
	// againAfter is when a request that may be made twice is made again.
	againAfter = time.Second
)

// errand is a request that is made until it is answered.
type errand[A messages.Answer | messages.Availability] struct {
	id      uuid.UUID // of the actor that it is for
	request any
	repeat  bool // made twice, it has its effect once
	again   any  // what to ask once an earlier try is over and may have had its effect; nil: nothing
	here    func(ctx context.Context, request any) A
	code    func(A) messages.Code
	// doubt says that an earlier try may have had its effect.
	doubt bool
}

// anywhere makes a request of the actor that it is for, wherever it lives. Its answer
// without ok has no code if nothing was done, and CodeOutcomeUnknown if that is not known.
func anywhere[A messages.Answer | messages.Availability](ctx context.Context, s *System, e errand[A]) (answer A, ok bool) {
	e.nameRelease()
	until := time.Now().Add(homeWithin)
	asked := false // once more, what became of it
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		answer, err := e.try(ctx, s)
		switch {
		case err != nil:
			if !e.lost(err) {
				return unknown[A](), false
			}
		case e.code(answer) == messages.CodeOutcomeUnknown && !asked && e.askAgain():
			asked = true
		case e.code(answer) != notHere:
			return inDoubt(answer, e.doubt), true
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		if ctx.Err() != nil || time.Now().After(until) {
			if e.doubt {
				return unknown[A](), false
			}
			var none A
			return none, false
		}
	}
}

// try makes the request once.
func (e *errand[A]) try(ctx context.Context, s *System) (answer A, err error) {
	node, isHere := s.config.Placement.Home(e.id)
	switch {
	case isHere:
		return e.here(ctx, e.request), nil
	case node != "":
		e.name()
		return askNode[A](ctx, s, node, e.request, e.repeat)
	}
	return answer, placement.ErrNotSent
}

// name gives a command that could not be repeated a key, so that it can: it is about to
// go to a node that may die with it.
func (e *errand[A]) name() {
	if e.repeat || e.again != nil {
		return
	}
	key := &messages.Key{Caller: keyCaller, Value: uuid.NewString()}
	switch do := e.request.(type) {
	case messages.EndCall:
		do.Key = key
		e.request, e.repeat = do, true
	case messages.SaveLog:
		do.Key = key
		e.request, e.repeat = do, true
	}
}

// nameRelease gives a key to an end that stands on the audit trail, wherever it is
// carried out. Made twice it has its effect once also by the call that it names; but whoever
// released a call is told whether it was this release that ended it, and only what is
// recorded with a key tells the second try. Other ends are answered alike either way and are
// spared the record.
func (e *errand[A]) nameRelease() {
	if do, ok := e.request.(messages.EndCall); ok && do.Audit != nil && do.Key == nil {
		do.Key = &messages.Key{Caller: keyCaller, Value: uuid.NewString()}
		e.request, e.repeat = do, true
	}
}

// keyCaller is whose the keys are that nodes give to commands.
const keyCaller = "node"

// lost takes note that a try was not answered, and reports whether there may be another.
func (e *errand[A]) lost(err error) bool {
	switch {
	case errors.Is(err, placement.ErrNotSent):
		return true
	case errors.Is(err, wire.ErrNotUnderstood):
		return !e.doubt // by the code of an earlier version nothing can be found out
	case e.repeat:
		e.doubt = true
		return true
	case errors.Is(err, placement.ErrLost):
		// The node is gone: nothing comes of that try any more that has not come before
		// others take over. While it may still be at it, nobody could tell.
		return e.askAgain()
	}
	return false
}

// askAgain has the next try find out what became of this one, which is over. It reports
// whether that can be.
func (e *errand[A]) askAgain() bool {
	if !e.repeat && e.again == nil {
		return false
	}
	e.doubt = true
	if e.again != nil {
		e.request = e.again
	}
	return true
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
	speaks := s.config.Placement.Speaks(node)
	if speaks == 0 {
		return answer, placement.ErrNotSent // it is gone, or not met yet
	}
	b, err := s.codec.Encode(request, speaks, within)
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
		// Not ErrNotUnderstood, which is said of requests: this one may have been carried out.
		return answer, errors.New("the answer of a node cannot be read: " + err.Error())
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

// againOf is how to ask for a start of which an earlier try may have had its effect. A
// start has an id of its own, that of its call, and needs no key.
func againOf(do any) any {
	if start, ok := do.(messages.StartCall); ok && start.Key == nil {
		return wire.StartAgain{Start: start}
	}
	return nil
}
