package actors_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/dibs-calls/dibs/actors"
	"github.com/dibs-calls/dibs/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func userN(n byte) messages.UserID     { return messages.UserID{UUID: uuid.UUID{1, 15: n}} }
func clientN(n byte) messages.ClientID { return messages.ClientID{UUID: uuid.UUID{2, 15: n}} }

func newCall() messages.CallID { return messages.CallID{UUID: uuid.Must(uuid.NewV7())} }

func startOf(u, c byte) messages.StartCall {
	return messages.StartCall{User: userN(u), Client: clientN(c), Call: newCall()}
}

func endOf(u byte) messages.EndCall {
	return messages.EndCall{User: userN(u), Reason: messages.ReasonCompleted}
}

// newSystem starts a system on a fake store and stops it when the test ends.
func newSystem(t *testing.T, change func(*actors.Config)) (*actors.System, *fakeStore) {
	t.Helper()
	store := newFakeStore()
	config := actors.Config{Journal: store, Reader: store, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&config)
	}
	s := actors.NewSystem(config)
	t.Cleanup(func() { stop(t, s) })
	return s, store
}

func quietSystem(store *fakeStore) *actors.System {
	return actors.NewSystem(actors.Config{Journal: store, Reader: store, Logger: slog.New(slog.DiscardHandler)})
}

func stop(t testing.TB, s *actors.System) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func want(t *testing.T, a messages.Answer, code messages.Code) messages.Answer {
	t.Helper()
	if a.Code != code {
		t.Fatalf("got %q, want %q", a.Code, code)
	}
	return a
}

func TestSpecScenario1BasicConflict(t *testing.T) {
	s, _ := newSystem(t, nil)
	ctx := t.Context()
	want(t, s.StartCall(ctx, startOf(1, 1)), messages.OK)
	refused := want(t, s.StartCall(ctx, startOf(2, 1)), messages.CodeClientBeingCalled)
	if refused.Caller == nil || refused.Caller.ID != userN(1) || refused.Caller.Name != "User 1" {
		t.Fatalf("caller %+v", refused.Caller)
	}
	if a := s.Availability(ctx, clientN(1)); a.Caller == nil || a.Caller.ID != userN(1) {
		t.Fatalf("availability %+v", a)
	}
	want(t, s.EndCall(ctx, endOf(1)), messages.OK)
	want(t, s.StartCall(ctx, startOf(2, 1)), messages.OK)
}

func TestSpecScenario2SameUser(t *testing.T) {
	s, _ := newSystem(t, nil)
	ctx := t.Context()
	first := want(t, s.StartCall(ctx, startOf(1, 1)), messages.OK)
	refused := want(t, s.StartCall(ctx, startOf(1, 2)), messages.CodeUserOnCall)
	if refused.Call == nil || *refused.Call != *first.Call {
		t.Fatalf("got %+v, want %+v", refused.Call, first.Call)
	}
	want(t, s.EndCall(ctx, endOf(1)), messages.OK)
	want(t, s.StartCall(ctx, startOf(1, 2)), messages.OK)
}

// Everybody clicks at once: I1 says that one gets through, I4 that the others
// are told of that one.
func TestManyClickTogether(t *testing.T) {
	s, _ := newSystem(t, nil)
	for round := range byte(20) {
		var won atomic.Int32
		var wg sync.WaitGroup
		for u := range byte(50) {
			wg.Go(func() {
				a := s.StartCall(t.Context(), startOf(u+1, round+1))
				switch a.Code {
				case messages.OK:
					won.Add(1)
				case messages.CodeClientBeingCalled:
				default:
					t.Errorf("got %q", a.Code)
				}
			})
		}
		wg.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("I1: %d got through", n)
		}
		for u := range byte(50) {
			want(t, s.EndCall(t.Context(), endOf(u+1)), messages.OK)
		}
	}
}

func TestAvailabilityReadsTheStoreOnce(t *testing.T) {
	s, store := newSystem(t, nil)
	for range 3 {
		if a := s.Availability(t.Context(), clientN(1)); a != (messages.Availability{}) {
			t.Fatalf("got %+v", a)
		}
	}
	store.set(func(f *fakeStore) {
		if f.lookups != 1 {
			t.Errorf("%d reads", f.lookups)
		}
	})
	if a := s.Availability(t.Context(), clientN(99)); a.Code != messages.CodeClientNotFound {
		t.Fatalf("got %+v", a)
	}
}

// The store already has a call that no actor knows of, as after a restart.
func TestActorsLearnFromTheStore(t *testing.T) {
	s, store := newSystem(t, nil)
	store.set(func(f *fakeStore) {
		f.claim(messages.Write{User: userN(1), Client: clientN(1), Call: newCall(), Lease: time.Hour})
	})
	refused := want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.CodeClientBeingCalled)
	if refused.Caller.ID != userN(1) {
		t.Fatalf("caller %+v", refused.Caller)
	}
	want(t, s.StartCall(t.Context(), startOf(1, 2)), messages.CodeUserOnCall)
	want(t, s.EndCall(t.Context(), endOf(1)), messages.OK)
	want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.OK)
}

// A commit whose outcome is unknown is looked up before anybody is answered.
func TestUnknownOutcomeIsNotGuessed(t *testing.T) {
	for _, applied := range []bool{true, false} {
		s, store := newSystem(t, nil)
		var once sync.Once
		lose := func([]messages.Write) (err error) {
			once.Do(func() { err = &messages.Error{Code: messages.CodeOutcomeUnknown} })
			return err
		}
		store.set(func(f *fakeStore) {
			if applied {
				f.after = lose
			} else {
				f.fail = lose
			}
		})
		got := s.StartCall(t.Context(), startOf(1, 1))
		if applied {
			want(t, got, messages.OK)
			continue
		}
		want(t, got, messages.CodeUnavailable)
		want(t, eventually(t, func() messages.Answer { return s.StartCall(t.Context(), startOf(1, 1)) }), messages.OK)
	}
}

// eventually calls do until the answer is not CodeUnavailable.
func eventually(t *testing.T, do func() messages.Answer) messages.Answer {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		a := do()
		if a.Code != messages.CodeUnavailable || time.Now().After(deadline) {
			return a
		}
	}
}

func TestStoreGoneIsSaidAtOnceAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(t, nil)
		want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK)
		store.set(func(f *fakeStore) { f.down = true })
		begun := time.Now()
		for range 10 {
			want(t, s.EndCall(t.Context(), endOf(1)), messages.CodeUnavailable)
		}
		if took := time.Since(begun); took > 0 {
			t.Fatalf("refusing took %v", took)
		}
		if s.Ready() == nil {
			t.Fatal("ready without a store")
		}
		store.set(func(f *fakeStore) { f.down = false })
		time.Sleep(time.Second) // the fake clock's: the gate probes
		synctest.Wait()
		want(t, s.EndCall(t.Context(), endOf(1)), messages.OK)
		if err := s.Ready(); err != nil {
			t.Fatal(err)
		}
	})
}

// A store that hangs: the first caller waits for its own deadline, and from
// then on nobody waits.
func TestStalledStoreIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(t, nil)
		hang := make(chan struct{})
		store.set(func(f *fakeStore) {
			f.fail = func([]messages.Write) error { <-hang; return errDown }
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		want(t, s.StartCall(ctx, startOf(1, 1)), messages.CodeOutcomeUnknown)
		// The fake store answers pings, so the gate opens again after the
		// first; that a hanging commit does not keep it open for ever is for
		// the store's own ping to say.
		store.set(func(f *fakeStore) { f.fail = nil })
		close(hang)
		synctest.Wait()
		want(t, eventually(t, func() messages.Answer { return s.StartCall(t.Context(), startOf(1, 1)) }), messages.OK)
	})
}

func TestLeaseExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, store := newSystem(t, nil)
		start := startOf(1, 1)
		start.Lease = 10 * time.Second
		call := want(t, s.StartCall(t.Context(), start), messages.OK).Call
		time.Sleep(8 * time.Second) // fake clock
		want(t, s.RenewCall(t.Context(), messages.RenewCall{User: userN(1), Call: call.ID, Token: call.Token}), messages.OK)
		time.Sleep(9 * time.Second) // fake clock
		want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.CodeClientBeingCalled)
		time.Sleep(5 * time.Second) // fake clock
		want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.OK)
		want(t, s.RenewCall(t.Context(), messages.RenewCall{User: userN(1), Call: call.ID, Token: call.Token}), messages.CodeCallOver)
		store.set(func(f *fakeStore) {
			if f.ended[call.ID] != messages.ReasonExpired {
				t.Errorf("I5: ended with %q", f.ended[call.ID])
			}
		})
	})
}

// A caller that gives up does not cancel the write (I3: nor is it lost).
func TestGivingUpDoesNotCancel(t *testing.T) {
	s, store := newSystem(t, nil)
	hang, entered := make(chan struct{}), make(chan struct{})
	var once sync.Once
	store.set(func(f *fakeStore) {
		f.fail = func([]messages.Write) error {
			once.Do(func() { close(entered); <-hang })
			return nil
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan messages.Answer)
	go func() { answer <- s.StartCall(ctx, startOf(1, 1)) }()
	<-entered
	cancel()
	want(t, <-answer, messages.CodeOutcomeUnknown)
	close(hang)
	want(t, s.StartCall(t.Context(), startOf(1, 2)), messages.CodeUserOnCall)
	want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.CodeClientBeingCalled)
}

// A panic costs an actor its state; the next incarnation learns from the store.
func TestPanicStartsAnew(t *testing.T) {
	var failures failureCounter
	s, store := newSystem(t, func(c *actors.Config) { c.Observer = &failures })
	want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK)
	store.set(func(f *fakeStore) {
		f.fail = func([]messages.Write) error { panic("in the store") }
	})
	// A panic in the store is an unknown outcome; the user actor reloads.
	want(t, s.EndCall(t.Context(), endOf(1)), messages.CodeUnavailable)
	store.set(func(f *fakeStore) { f.fail = nil })
	want(t, eventually(t, func() messages.Answer { return s.EndCall(t.Context(), endOf(1)) }), messages.OK)

	// A command that no machine knows makes the shell panic.
	s.Break(userN(1))
	want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK)
	s.BreakClient(clientN(1))
	want(t, s.StartCall(t.Context(), startOf(2, 1)), messages.CodeClientBeingCalled)
	want(t, s.EndCall(t.Context(), endOf(1)), messages.OK)
	if u, c := failures.users.Load(), failures.clients.Load(); u != 1 || c != 1 {
		t.Fatalf("%d user and %d client actors panicked, want one each", u, c)
	}
}

// failureCounter counts panics in actors.
type failureCounter struct {
	actors.NoObserver
	users, clients atomic.Int32
}

func (f *failureCounter) ActorFailed(kind string) {
	if kind == "user" {
		f.users.Add(1)
	} else {
		f.clients.Add(1)
	}
}

func TestUnusedActorsRetire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newSystem(t, nil)
		for u := range byte(10) {
			want(t, s.StartCall(t.Context(), startOf(u, u)), messages.OK)
		}
		for u := range byte(9) {
			want(t, s.EndCall(t.Context(), endOf(u)), messages.OK)
		}
		time.Sleep(3 * time.Minute) // fake clock
		synctest.Wait()
		if users, clients := s.Awake(); users != 1 || clients != 1 {
			t.Fatalf("%d users and %d clients are awake, want the one pair on a call", users, clients)
		}
		want(t, s.StartCall(t.Context(), startOf(1, 9)), messages.CodeClientBeingCalled)
	})
}

// Actors retire all the time while everybody is busy: nobody may be lost.
func TestRetiringLosesNobody(t *testing.T) {
	s, _ := newSystem(t, func(c *actors.Config) { c.RetireAfter = 100 * time.Microsecond })
	var wg sync.WaitGroup
	for u := range byte(8) {
		wg.Go(func() {
			for i := range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				a := s.StartCall(ctx, startOf(u, byte(i%5)))
				if a.Code == messages.OK {
					a = s.EndCall(ctx, endOf(u))
				}
				cancel()
				if a.Code != messages.OK && a.Code != messages.CodeClientBeingCalled {
					t.Errorf("got %q", a.Code)
				}
			}
		})
	}
	wg.Wait()
}

func TestStopRefusesAndCanBeRepeated(t *testing.T) {
	s, _ := newSystem(t, nil)
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.CodeUnavailable)
	if a := s.Availability(t.Context(), clientN(1)); a.Code != messages.CodeUnavailable {
		t.Fatalf("got %+v", a)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A batch that cannot be told apart from a success is an unknown outcome.
func TestShortAnswerOfTheStore(t *testing.T) {
	s, store := newSystem(t, nil)
	store.set(func(f *fakeStore) { f.after = func([]messages.Write) error { return errors.New("odd") } })
	want(t, s.StartCall(t.Context(), startOf(1, 1)), messages.OK) // found by the reload
}

// A write that the store cannot hold must not spoil the batch for the others.
func TestOneBadWriteIsRefusedAlone(t *testing.T) {
	s, store := newSystem(t, nil)
	store.set(func(f *fakeStore) {
		f.fail = func(batch []messages.Write) error {
			for _, w := range batch {
				if w.Notes == "bad" {
					return &messages.Error{Code: messages.CodeBadRequest}
				}
			}
			return nil
		}
	})
	for u := range byte(20) {
		want(t, s.StartCall(t.Context(), startOf(u, u)), messages.OK)
	}
	var wg sync.WaitGroup
	for u := range byte(20) {
		wg.Go(func() {
			end, code := endOf(u), messages.OK
			if u == 7 {
				end.Notes, code = "bad", messages.CodeBadRequest
			}
			if a := s.EndCall(t.Context(), end); a.Code != code {
				t.Errorf("user %d: got %q, want %q", u, a.Code, code)
			}
		})
	}
	wg.Wait()
	if err := s.Ready(); err != nil {
		t.Fatalf("a bad write closed the gate: %v", err)
	}
}
