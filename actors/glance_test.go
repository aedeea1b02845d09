package actors_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
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

// untilItRests waits until a user's actor has nothing in hand but what it waits for.
func untilItRests(t *testing.T, s *actors.System, u messages.UserID) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !s.Rests(u); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%v never rests", u)
		}
	}
}

// still fails if an answer is there before it may be.
func still[A any](t *testing.T, answer <-chan A, s *actors.System) {
	t.Helper()
	for range 100 { // what could be told from memory would be told by then
		s.Availability(t.Context(), clientN(99)) // there is none such, so it is read each time
	}
	select {
	case a := <-answer:
		t.Fatalf("answered too early: %+v", a)
	default:
	}
}

// Nobody is refused for a call whose end is being committed: they wait for that (I4).
func TestNobodyIsRefusedForACallThatIsBeingEnded(t *testing.T) {
	s, store := newSystem(t, nil)
	want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK)
	want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.CodeClientBeingCalled)
	b := block(t, store, messages.WriteRelease)
	ended := later(func() messages.Answer { return s.EndCall(t.Context(), endOf(1)) })
	<-b.entered
	untilItRests(t, s, userN(1))
	second := later(func() messages.Answer { return s.StartCall(t.Context(), startOf(2, 1)) })
	look := later(func() messages.Availability { return s.Availability(t.Context(), clientN(1)) })
	still(t, second, s)
	still(t, look, s)
	b.free()
	want(t, <-ended, messages.OK)
	want(t, <-second, messages.OK)
	<-look
}

// Of two requests of one user the later one is answered by what became of the first.
func TestOneUsersRequestsKeepTheirOrder(t *testing.T) {
	s, store := newSystem(t, nil)
	want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK)
	want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.CodeClientBeingCalled)
	b := block(t, store, messages.WriteClaim)
	first := later(func() messages.Answer { return s.StartCall(t.Context(), startOf(2, 2)) })
	<-b.entered
	untilItRests(t, s, userN(2))
	second := later(func() messages.Answer { return s.StartCall(t.Context(), startOf(2, 1)) })
	still(t, second, s)
	b.free()
	want(t, <-first, messages.OK)
	want(t, <-second, messages.CodeUserOnCall)
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
