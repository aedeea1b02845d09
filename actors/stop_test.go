package actors_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// A second call of Stop returns when everything has stopped, and not before.
func TestStopAtOnceWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		s := quietSystem(store)
		hang := make(chan struct{})
		store.set(func(f *fakeStore) {
			f.fail = func([]messages.Write) error { <-hang; return nil }
		})
		answer := make(chan messages.Answer, 1)
		go func() { answer <- s.StartCall(t.Context(), startOf(1, 1)) }()
		synctest.Wait()

		stopped := make(chan error, 2)
		for range 2 {
			go func() { stopped <- s.Stop(t.Context()) }()
			synctest.Wait()
		}
		if len(stopped) > 0 {
			t.Error("Stop returned while a commit was under way")
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Stop(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop of somebody who does not wait for long: %v", err)
		}

		close(hang)
		want(t, <-answer, messages.OK)
		for range 2 {
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		}
	})
}

// A commit is under way, nobody waits for it any more, and the process is stopped; then the
// node finds that it has lost touch with the cluster, and waits for the same commit before it
// joins anew. Neither takes the end of the wait from the other.
func TestStopAndRestWaitForTheSameCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		s := quietSystem(store)
		hang := make(chan struct{})
		store.set(func(f *fakeStore) {
			f.fail = func([]messages.Write) error { <-hang; return nil }
		})
		asking, hangUp := context.WithCancel(t.Context())
		answer := make(chan messages.Answer, 1)
		go func() { answer <- s.StartCall(asking, startOf(1, 1)) }()
		synctest.Wait()
		hangUp()
		want(t, <-answer, messages.CodeOutcomeUnknown)

		ended := make(chan error, 3)
		for _, wait := range []func(context.Context) error{s.Rest, s.Stop, s.Rest} {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				ended <- wait(ctx)
			}()
			synctest.Wait()
		}
		if len(ended) > 0 {
			t.Error("who waits for the commit did not wait")
		}
		close(hang)
		for range 3 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}
