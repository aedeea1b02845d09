package actors

import (
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// scene is a system without goroutines in which somebody calls a client and somebody else
// would like to. Tests change what is shown there.
type scene struct {
	*System
	start                  messages.StartCall
	call                   *messages.HeldClaim
	caller, holder, called *place // places of who starts, of who calls, of the client
}

func newScene() *scene {
	s := &scene{
		System: &System{gate: &gate{}, users: newDirectory(nil, nil, nil), clients: newDirectory(nil, nil, nil), now: time.Now},
		start: messages.StartCall{
			User: messages.UserID{UUID: uuid.UUID{1, 15: 1}}, Client: messages.ClientID{UUID: uuid.UUID{2, 15: 1}},
			Call: messages.CallID{UUID: uuid.UUID{3, 15: 1}},
		},
		caller: &place{}, holder: &place{}, called: &place{},
	}
	s.call = &messages.HeldClaim{
		Call: messages.Call{
			ID: messages.CallID{UUID: uuid.UUID{3, 15: 2}}, UserID: messages.UserID{UUID: uuid.UUID{1, 15: 2}},
			ClientID: s.start.Client, StartedAt: time.Now(),
		},
		Name: "Holder",
	}
	s.users.shard(s.start.User.UUID).places[s.start.User.UUID] = s.caller
	s.users.shard(s.call.UserID.UUID).places[s.call.UserID.UUID] = s.holder
	s.clients.shard(s.start.Client.UUID).places[s.start.Client.UUID] = s.called
	s.caller.show(nil, true)
	s.holder.show(s.call, true)
	said := *s.call // the client's actor has its own
	s.called.show(&said, true)
	return s
}

// another returns a call that the same user is on later.
func (s *scene) another() *messages.HeldClaim {
	later := *s.call
	later.ID = messages.CallID{UUID: uuid.UUID{3, 15: 3}}
	return &later
}

func TestWhatIsSeen(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*scene)
		refused bool // the start is refused
		taken   bool // the client is said to be held
		free    bool // the client is said to be free
	}{
		"somebody calls the client":        {change: func(*scene) {}, refused: true, taken: true},
		"a message for the caller":         {change: func(s *scene) { s.caller.inbox.Store(1) }, taken: true},
		"the caller is not sure":           {change: func(s *scene) { s.caller.show(nil, false) }, taken: true},
		"the caller is on a call":          {change: func(s *scene) { s.caller.show(s.another(), true) }, taken: true},
		"the caller sleeps":                {change: func(s *scene) { s.users.evict(s.start.User.UUID, s.caller) }, taken: true},
		"a key":                            {change: func(s *scene) { s.start.Key = &messages.Key{} }, taken: true},
		"a message for the holder":         {change: func(s *scene) { s.holder.inbox.Store(1) }},
		"the holder is not sure":           {change: func(s *scene) { s.holder.show(nil, false) }},
		"the holder is on no call":         {change: func(s *scene) { s.holder.show(nil, true) }},
		"the holder is on another call":    {change: func(s *scene) { s.holder.show(s.another(), true) }},
		"the holder sleeps":                {change: func(s *scene) { s.users.evict(s.call.UserID.UUID, s.holder) }},
		"a message for the client":         {change: func(s *scene) { s.called.inbox.Store(1) }},
		"the client is not sure":           {change: func(s *scene) { s.called.show(nil, false) }},
		"the client sleeps":                {change: func(s *scene) { s.clients.evict(s.start.Client.UUID, s.called) }},
		"the client is free":               {change: func(s *scene) { s.called.show(nil, true) }, free: true},
		"the client is free but a message": {change: func(s *scene) { s.called.show(nil, true); s.called.inbox.Store(1) }},
		"a closed gate":                    {change: func(s *scene) { s.gate.closed.Store(true) }},
		"a process that stops":             {change: func(s *scene) { s.stopping = true }},
		"a shared store":                   {change: func(s *scene) { s.config.Shared = true }},
		"a cluster":                        {change: func(s *scene) { s.config.Placement = struct{ Placement }{} }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			test.change(s)
			caller := s.seenCalling(s.start)
			if (caller != nil) != test.refused {
				t.Errorf("the start is told of %+v", caller)
			}
			if caller != nil && *caller != *callerOf(s.call) {
				t.Errorf("told of %+v, not of %+v", caller, s.call)
			}
			a, ok := s.seenAvailability(s.start.Client)
			if ok != (test.taken || test.free) || (a.Caller != nil) != test.taken {
				t.Errorf("availability: %+v, %v", a, ok)
			}
			s.asks.Wait() // nobody is left in
		})
	}
}

// A call that ends, or is followed by another, while the user who starts is looked at is
// not told: that user may have been on a call as long as it was on.
func TestHolderIsLookedAtAgain(t *testing.T) {
	for range 20 {
		s := newScene()
		// Who looks at the caller waits for this, and has looked at the holder before.
		shard := s.users.shard(s.start.User.UUID)
		shard.mu.Lock()
		told := make(chan *messages.Caller, 1)
		go func() { told <- s.seenCalling(s.start) }()
		for !s.holder.used.Load() {
			runtime.Gosched()
		}
		for range 1000 { // it reads what is shown right after that
			runtime.Gosched()
		}
		s.holder.show(nil, false)
		shard.mu.Unlock()
		if caller := <-told; caller != nil {
			t.Fatalf("told of %+v, who is not seen to call any more", caller)
		}
	}
}

// Whoever has looked a place up may look at it after its actor is out of the directory.
func TestNothingIsShownOnTheWayOut(t *testing.T) {
	for name, out := range map[string]func(*scene) *place{
		"vacate": func(s *scene) *place {
			s.holder.inbox.Store(1)
			if !s.users.vacate(s.call.UserID.UUID, s.holder) {
				t.Error("it stays")
			}
			return s.holder
		},
		"evict": func(s *scene) *place { s.users.evict(s.call.UserID.UUID, s.holder); return s.holder },
		"a user's actor that fails": func(s *scene) *place {
			(&userShell{system: s.System, place: s.holder}).abandon()
			return s.holder
		},
		"a client's actor that fails": func(s *scene) *place {
			(&clientShell{system: s.System, place: s.called}).abandon()
			return s.called
		},
		"a client's actor that is to leave": func(s *scene) *place {
			s.called.inbox.Store(2) // it cannot yet
			(&clientShell{system: s.System, place: s.called}).leave(nil, leave{})
			return s.called
		},
	} {
		t.Run(name, func(t *testing.T) {
			if shown := out(newScene()).Shows(); shown != "nothing" {
				t.Errorf("%s is shown", shown)
			}
		})
	}
}

// What an actor knows is on show before others can hear of it. None of the effects can be
// carried out here, so what is shown when one is tried is what is shown before all of them.
func TestShownBeforeTheEffects(t *testing.T) {
	before := func(what, want string, p *place, step func()) {
		t.Helper()
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no effect was tried", what)
				}
			}()
			step()
		}()
		if shown := p.Shows(); shown != want {
			t.Errorf("%s: %s is shown, not %s", what, shown, want)
		}
	}
	s := newScene()
	after := func(u messages.UserID, told ...user.Message) user.State {
		state := user.State{User: u}
		for _, m := range told {
			state, _ = user.Step(state, s.now(), m, nil)
		}
		return state
	}

	ends := &userShell{system: s.System, place: s.holder}
	ends.state = after(s.call.UserID, messages.AskHolder{User: s.call.UserID}, user.Loaded{Claim: s.call})
	before("a call that ends", "nothing", s.holder, func() {
		ends.step(&user.Command{Do: messages.EndCall{User: s.call.UserID, Reason: messages.ReasonCompleted}})
	})

	begins := &userShell{system: s.System, place: s.caller}
	begins.state = after(s.start.User, &user.Command{Asker: "nobody", Do: s.start}, user.Loaded{},
		messages.Reserved{User: s.start.User, Call: s.start.Call, Client: s.start.Client})
	s.caller.show(nil, false)
	begun := messages.Call{ID: s.start.Call, UserID: s.start.User, ClientID: s.start.Client, StartedAt: s.now()}
	before("a call that is committed", begun.ID.String(), s.caller, func() {
		begins.step(user.Written{Outcome: &messages.Outcome{Kind: messages.OutcomeDone, Call: begun}})
	})

	is := &clientShell{system: s.System, place: s.called, state: client.New(s.start.Client, 1, false)}
	s.called.show(nil, true)
	before("a client that is reserved", "nothing", s.called, func() {
		is.handle(nil, messages.Reserve{Client: s.start.Client, User: s.start.User, Call: s.start.Call})
	})
}
