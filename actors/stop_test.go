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
