package actors_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dibs-calls/dibs/actors"
	"github.com/dibs-calls/dibs/messages"
)

// blocker makes commits of one kind of write wait until they are let go.
type blocker struct {
	entered chan struct{} // a token for every commit that waits
	release chan struct{}
	free    func() // lets them go; it can be repeated
}

func block(t *testing.T, store *fakeStore, kind messages.WriteKind) *blocker {
	b := &blocker{entered: make(chan struct{}, 100), release: make(chan struct{})}
	b.free = sync.OnceFunc(func() { close(b.release) })
	t.Cleanup(b.free)
	store.set(func(f *fakeStore) {
		f.fail = func(batch []messages.Write) error {
			for _, w := range batch {
				if w.Kind == kind {
					b.entered <- struct{}{}
					<-b.release
				}
			}
			return nil
		}
	})
	return b
}

// later asks on a goroutine of its own.
func later[A any](ask func() A) <-chan A {
	answer := make(chan A, 1)
	go func() { answer <- ask() }()
	return answer
}

// still fails if an answer is there before it may be. It is for tests with a clock of their
// own: a commit that is blocked takes none of its time, however slow the machine is.
func still[A any](t *testing.T, answer <-chan A) {
	t.Helper()
	synctest.Wait()
	select {
	case a := <-answer:
		t.Fatalf("answered too early: %+v", a)
	default:
	}
}

// Nobody is refused for a call whose end is being committed: they wait for that (I4).
func TestNobodyIsRefusedForACallThatIsBeingEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(t, nil)
		want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK)
		want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.CodeClientBeingCalled)
		b := block(t, store, messages.WriteRelease)
		ended := later(func() messages.Answer { return s.EndCall(t.Context(), endOf(1)) })
		<-b.entered
		synctest.Wait()
		second := later(func() messages.Answer { return s.StartCall(t.Context(), startOf(2, 1)) })
		look := later(func() messages.Availability { return s.Availability(t.Context(), clientN(1)) })
		still(t, second)
		still(t, look)
		b.free()
		want(t, <-ended, messages.OK)
		want(t, <-second, messages.OK)
		<-look
	})
}

// Of two requests of one user the later one is answered by what became of the first.
func TestOneUsersRequestsKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(t, nil)
		want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK)
		want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.CodeClientBeingCalled)
		b := block(t, store, messages.WriteClaim)
		first := later(func() messages.Answer { return s.StartCall(t.Context(), startOf(2, 2)) })
		<-b.entered
		synctest.Wait()
		second := later(func() messages.Answer { return s.StartCall(t.Context(), startOf(2, 1)) })
		still(t, second)
		b.free()
		want(t, <-first, messages.OK)
		want(t, <-second, messages.CodeUserOnCall)
	})
}

// What is shown is what the journal is told next: a call is off show before its release is
// committed, and on show before its start is answered. Whoever has looked up where an actor
// was sees nothing there once it has failed, or is gone.
func TestWhatIsShownKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(t, nil)
		released := 0
		store.set(func(f *fakeStore) {
			f.fail = func(batch []messages.Write) error {
				if batch[0].Kind == messages.WriteRelease {
					released++
					if shown := s.UserPlace(userN(1)).Shows(); shown != "nothing" {
						t.Errorf("%s is shown while its release is committed", shown)
					}
				}
				return nil
			}
		})
		start := func(when string) (user, client *actors.Place) {
			t.Helper()
			call := want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK).Call
			user = s.UserPlace(userN(1))
			if shown := user.Shows(); shown != call.ID.String() {
				t.Errorf("%s: %s is shown for a call that was answered", when, shown)
			}
			synctest.Wait()
			return user, s.ClientPlace(clientN(1))
		}
		nothing := func(when string, places ...*actors.Place) {
			t.Helper()
			synctest.Wait()
			for _, p := range places {
				if shown := p.Shows(); shown != "nothing" {
					t.Errorf("%s: %s is shown", when, shown)
				}
			}
		}
		user, client := start("at first")
		s.BreakClient(clientN(1)) // which asks the user first
		nothing("after a panic", client)
		s.Break(userN(1))
		nothing("after a panic", user)
		want(t, s.EndCall(t.Context(), endOf(1)), messages.OK)

		user, client = start("after a panic")
		want(t, s.EndCall(t.Context(), endOf(1)), messages.OK)
		time.Sleep(3 * time.Minute) // fake clock
		nothing("retired", user, client)
		if users, clients := s.Awake(); users+clients != 0 {
			t.Errorf("%d users and %d clients are awake", users, clients)
		}
		if released != 2 {
			t.Errorf("%d releases", released)
		}
	})
}

// A start that is refused because it can be seen that somebody is calling allocates the
// caller and nothing else: no message is sent.
func TestSeenRefusalAllocatesTheCaller(t *testing.T) {
	s, _ := newSystem(t, nil)
	want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK)
	start, ctx := startOf(2, 1), t.Context()
	// The first is asked for, as the actors have just been told something, and so may be
	// others until they are done with it; what these allocate does not count in so many.
	want(t, s.StartCall(ctx, start), messages.CodeClientBeingCalled)
	got := testing.AllocsPerRun(5000, func() {
		if a := s.StartCall(ctx, start); a.Code != messages.CodeClientBeingCalled {
			t.Errorf("got %q", a.Code)
		}
	})
	if got != 1 {
		t.Errorf("%v allocations", got)
	}
}

// span is a call as its user saw it: it was on for certain from the answer to its start
// until its end was asked for, and perhaps from when the start was asked for until the
// answer to the end.
type span struct {
	user           messages.UserID
	client         messages.ClientID
	asked, started int64
	ending, ended  int64
}

// Many people call few clients and end their calls soon. Every refusal is for a call
// that may have been on at that time, and none is given to somebody who was on a call of
// their own all the while; a client is never said to be free while it is held (I4).
func TestRefusalsAreTrueWhileCallsComeAndGo(t *testing.T) {
	s, _ := newSystem(t, nil)
	const users, clients, rounds = 6, 3, 300
	var clock atomic.Int64
	var mu sync.Mutex
	var calls []*span
	type refusal struct {
		user        messages.UserID // zero: a question about the client
		client      messages.ClientID
		caller      messages.UserID // zero: the client is free
		asked, told int64
	}
	var refusals []refusal
	note := func(r refusal) {
		mu.Lock()
		defer mu.Unlock()
		refusals = append(refusals, r)
	}
	try := func(u, c byte) {
		asked := clock.Add(1)
		a := s.StartCall(t.Context(), startOf(u, c))
		told := clock.Add(1)
		switch a.Code {
		case messages.OK:
			call := &span{user: userN(u), client: clientN(c), asked: asked, started: told}
			mu.Lock()
			calls = append(calls, call)
			mu.Unlock()
			ending := clock.Add(1)
			if a := s.EndCall(t.Context(), endOf(u)); a.Code != messages.OK {
				t.Errorf("got %q", a.Code)
			}
			mu.Lock()
			call.ending, call.ended = ending, clock.Add(1)
			mu.Unlock()
		case messages.CodeClientBeingCalled:
			note(refusal{userN(u), clientN(c), a.Caller.ID, asked, told})
		case messages.CodeUserOnCall:
		default:
			t.Errorf("got %q", a.Code)
		}
	}
	var wg sync.WaitGroup
	for u := range byte(users) {
		wg.Go(func() { // calls and ends
			for i := range rounds {
				try(u+1, byte(i%clients)+1)
			}
		})
		wg.Go(func() { // clicks on another client meanwhile, and looks
			for i := range rounds {
				c := byte((i+int(u))%clients) + 1
				asked := clock.Add(1)
				a := s.Availability(t.Context(), clientN(c))
				told := clock.Add(1)
				caller := messages.UserID{}
				if a.Caller != nil {
					caller = a.Caller.ID
				}
				note(refusal{client: clientN(c), caller: caller, asked: asked, told: told})
				try(u+1, c)
			}
		})
	}
	wg.Wait()
	surely := func(c *span, r refusal) bool { return c.started < r.asked && (c.ending == 0 || r.told < c.ending) }
	perhaps := func(c *span, r refusal) bool { return c.asked < r.told && (c.ended == 0 || r.asked < c.ended) }
	for _, r := range refusals {
		seen := r.caller.IsZero()
		for _, c := range calls {
			seen = seen || c.user == r.caller && c.client == r.client && perhaps(c, r)
			if surely(c, r) && !r.user.IsZero() && c.user == r.user {
				t.Fatalf("I4: %+v: the user was on a call: %+v", r, *c)
			}
			if surely(c, r) && c.client == r.client && c.user != r.caller {
				t.Fatalf("I4: %+v: the client was held: %+v", r, *c)
			}
		}
		if !seen {
			t.Fatalf("I4: %+v: nobody was calling", r)
		}
	}
}

// Who cannot be sure of having the store for itself tells nothing that it remembers, neither
// from what actors show nor from what they say, and begins nothing, until it is sure again.
func TestNothingIsToldWhileMemoryIsNotTrusted(t *testing.T) {
	var unsure atomic.Bool
	s, _ := newSystem(t, func(c *actors.Config) { c.Trusted = func() bool { return !unsure.Load() } })
	want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK)
	want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.CodeClientBeingCalled)
	keyed := startOf(2, 1)
	keyed.Key = &messages.Key{Caller: "user:2", Value: "once"} // asks the actors
	unsure.Store(true)
	for what, code := range map[string]messages.Code{
		"a start that is to be refused": s.StartCall(t.Context(), startOf(2, 1)).Code,
		"one with a key":                s.StartCall(t.Context(), keyed).Code,
		"a start of somebody on a call": s.StartCall(t.Context(), startOf(1, 2)).Code,
		"an end":                        s.EndCall(t.Context(), endOf(1)).Code,
		"who calls a client":            s.Availability(t.Context(), clientN(1)).Code,
	} {
		if code != messages.CodeUnavailable {
			t.Errorf("%s: %q, want %q", what, code, messages.CodeUnavailable)
		}
	}
	if s.Ready() == nil {
		t.Error("it says that it is ready")
	}
	unsure.Store(false)
	want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.CodeClientBeingCalled)
	want(t, s.EndCall(t.Context(), endOf(1)), messages.OK)
}
