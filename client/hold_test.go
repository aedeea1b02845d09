package client

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func held(t *testing.T, s *store, opts ...StartOption) *Held {
	t.Helper()
	h, err := (&Client{via: s}).Hold(t.Context(), "ana", "xenia", opts...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		h := held(t, s)
		time.Sleep(time.Hour) // fake clock
		if h.Context().Err() != nil || !s.alive() {
			t.Fatalf("after an hour: %v, alive %v", context.Cause(h.Context()), s.alive())
		}
		for i := 1; i < len(s.renewed); i++ {
			if gap := s.renewed[i].Sub(s.renewed[i-1]); gap < 8*time.Second || gap > 10*time.Second {
				t.Errorf("renewed after %s of a lease of 30 s", gap)
			}
		}
		if h.Call().ID != "call" || h.Call().UserID != "ana" || h.Call().LeaseExpiresAt.Before(time.Now()) {
			t.Errorf("%+v", h.Call())
		}
		if err := h.End(t.Context(), Outcome{}); err != nil {
			t.Error(err)
		}
		if s.alive() || !errors.Is(h.Context().Err(), context.Canceled) || errors.Is(context.Cause(h.Context()), CodeCallOver) {
			t.Errorf("after the end: %v", context.Cause(h.Context()))
		}
		renewals := len(s.renewed)
		time.Sleep(time.Minute) // fake clock
		if len(s.renewed) != renewals {
			t.Error("renewed after the end")
		}
		if err := h.End(t.Context(), Outcome{}); err != nil {
			t.Error(err)
		}
	})
}

// Whoever ended the call: the holder learns of it with the next renewal.
func TestHoldOfACallThatWasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		h := held(t, s, Lease(9*time.Second))
		s.set(func(s *store) { s.expires = time.Time{} })
		begin := time.Now()
		<-h.Context().Done()
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
		if !errors.Is(context.Cause(h.Context()), CodeCallOver) {
			t.Errorf("because %v", context.Cause(h.Context()))
		}
		if err := h.End(t.Context(), Outcome{}); !errors.Is(err, CodeCallOver) {
			t.Errorf("end: %v", err)
		}
	})
}

// When the server is away the claim is lost a tenth before the lease runs out,
// and not a moment later.
func TestHoldWhenTheServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		h := held(t, s, Lease(30*time.Second))
		s.set(func(s *store) { s.down = true })
		begin := time.Now()
		<-h.Context().Done()
		if took := time.Since(begin); took != 27*time.Second {
			t.Errorf("it took %s", took)
		}
		cause := context.Cause(h.Context())
		if !errors.Is(cause, CodeCallOver) || !errors.Is(cause, CodeOutcomeUnknown) {
			t.Errorf("because %v", cause)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.End(ctx, Outcome{}); !errors.Is(err, CodeOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("end: %v", err)
		}
	})
}

// A short outage is not noticed.
func TestHoldOverAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		h := held(t, s, Lease(30*time.Second))
		for range 20 {
			s.set(func(s *store) { s.down = true })
			time.Sleep(10 * time.Second) // fake clock
			s.set(func(s *store) { s.down = false })
			time.Sleep(20 * time.Second) // fake clock
		}
		if h.Context().Err() != nil {
			t.Errorf("lost: %v", context.Cause(h.Context()))
		}
		if err := h.End(t.Context(), Outcome{}); err != nil {
			t.Error(err)
		}
	})
}

func TestHoldEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		ctx, cancel := context.WithCancel(t.Context())
		h, err := (&Client{via: s}).Hold(ctx, "ana", "xenia")
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		if h.Context().Err() == nil {
			t.Error("it goes on")
		}
		time.Sleep(20 * time.Second) // fake clock
		if !s.alive() || len(s.renewed) > 0 {
			t.Errorf("alive %v, %d renewals", s.alive(), len(s.renewed))
		}
		if err := h.End(t.Context(), Outcome{}); err != nil || s.alive() {
			t.Errorf("end: %v", err)
		}
	})
}

// A program that crashed takes its call up again with the same key; if it has
// run out meanwhile, it is told.
func TestHoldTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		key, c := IdempotencyKey("call 17"), &Client{via: s}
		crash, cancel := context.WithCancel(t.Context())
		if _, err := c.Hold(crash, "ana", "xenia", key); err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(29 * time.Second) // fake clock
		h := held(t, s, key)
		time.Sleep(time.Minute) // fake clock
		if h.Context().Err() != nil || !s.alive() || s.starts != 1 {
			t.Errorf("taken up: %v, %d starts", context.Cause(h.Context()), s.starts)
		}
		if err := h.End(t.Context(), Outcome{}); err != nil {
			t.Error(err)
		}
		if _, err := c.Hold(t.Context(), "ana", "xenia", key); !errors.Is(err, CodeCallOver) {
			t.Errorf("after its end: %v", err)
		}
	})
}

// Whatever gets lost and however long it takes: while the context lives, so does
// the claim.
func TestHolderNeverBelievesInALostClaim(t *testing.T) {
	held, lost := 0, 0
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(seed)
			s.latency, s.losses = time.Duration(seed%40)*100*time.Millisecond, float64(seed%4)/10
			c := &Client{via: s}
			h, err := c.Hold(t.Context(), "ana", "xenia", Lease(time.Duration(5+seed%20)*time.Second))
			if err != nil {
				return
			}
			held++
			for range 600 {
				time.Sleep(100 * time.Millisecond) // fake clock
				synctest.Wait()
				if h.Context().Err() == nil && !s.alive() {
					t.Fatalf("seed %d: the holder believes in a claim that is gone", seed)
				}
			}
			if h.Context().Err() != nil {
				lost++
			}
			s.set(func(s *store) { s.losses = 0 })
			if err := h.End(t.Context(), Outcome{}); err != nil && !errors.Is(err, CodeCallOver) {
				t.Errorf("seed %d: end: %v", seed, err)
			}
		})
	}
	t.Logf("%d claims were held, %d of them lost", held, lost)
	if held < 200 || lost < 10 || held-lost < 100 {
		t.Error("these are not the cases that were meant")
	}
}

// The lease is measured from before the first request that may have begun it.
func TestLeaseOfAStartThatWasRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		s.down = true
		time.AfterFunc(20*time.Second, func() { s.set(func(s *store) { s.down = false }) })
		h := held(t, s, Lease(21*time.Second))
		if len(s.renewed) == 0 {
			t.Error("little of the lease was left, and it was not renewed at once")
		}
		if err := h.End(t.Context(), Outcome{}); err != nil {
			t.Error(err)
		}
	})
}

// One answer that gets lost costs no claim, however short the lease is, and
// however long the server asks to wait.
func TestHoldWhenAnAnswerIsLost(t *testing.T) {
	for _, lease := range []time.Duration{time.Second, 3 * time.Second, 6 * time.Second, 10 * time.Second, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(1)
			s.latency = 20 * time.Millisecond
			h := held(t, s, Lease(lease))
			for range 20 {
				s.set(func(s *store) { s.lose = "renew" })
				time.Sleep(lease) // fake clock
				if h.Context().Err() != nil || !s.alive() || s.lose != "" {
					t.Fatalf("lease of %s: %v, alive %v", lease, context.Cause(h.Context()), s.alive())
				}
			}
			s.set(func(s *store) { s.waits = &Error{Code: CodeRateLimited, retryAfter: time.Hour} })
			time.Sleep(lease / 2) // fake clock
			s.set(func(s *store) { s.waits = nil })
			time.Sleep(lease) // fake clock
			if h.Context().Err() != nil || !s.alive() {
				t.Errorf("lease of %s, after having been told to wait: %v", lease, context.Cause(h.Context()))
			}
			if err := h.End(t.Context(), Outcome{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// Go's clock stands still while a machine is suspended; the claim does not.
func TestHoldOverASuspension(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		var asleep atomic.Int64
		c := &Client{via: s, wall: func() time.Time { return time.Now().Round(0).Add(time.Duration(asleep.Load())) }}
		h, err := c.Hold(t.Context(), "ana", "xenia", Lease(30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		asleep.Store(int64(10 * time.Second))
		time.Sleep(time.Minute) // fake clock
		if h.Context().Err() != nil {
			t.Fatalf("after ten seconds: %v", context.Cause(h.Context()))
		}
		asleep.Add(int64(time.Minute))
		s.set(func(s *store) { s.expires = time.Now() }) // the server was awake: a renewal that comes first is refused
		begin := time.Now()
		<-h.Context().Done()
		if took := time.Since(begin); took > time.Second || !errors.Is(context.Cause(h.Context()), CodeCallOver) {
			t.Errorf("after a minute, it took %s: %v", took, context.Cause(h.Context()))
		}
		if err := h.End(t.Context(), Outcome{}); !errors.Is(err, CodeCallOver) || s.ended != 1 {
			t.Errorf("end: %v", err)
		}
	})
}

// A program that stops frees its client, though its context has ended.
func TestEndWithAContextThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		ctx, cancel := context.WithCancel(t.Context())
		h, err := (&Client{via: s}).Hold(ctx, "ana", "xenia")
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := h.End(ctx, Outcome{}); err != nil || s.ended != 1 || s.alive() {
			t.Errorf("%v, %d ends", err, s.ended)
		}
		s.set(func(s *store) { s.down = true })
		begin := time.Now()
		if err := h.End(ctx, Outcome{}); !errors.Is(err, CodeOutcomeUnknown) || time.Since(begin) > endGrace {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
	})
}

// However long the lease is: a holder learns soon that the claim was taken away,
// because somebody else may be calling.
func TestHoldWithALongLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(1)
		h := held(t, s, Lease(2*time.Hour))
		time.Sleep(time.Hour) // fake clock
		s.set(func(s *store) { s.expires = time.Time{} })
		begin := time.Now()
		<-h.Context().Done()
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
		if err := h.End(t.Context(), Outcome{}); !errors.Is(err, CodeCallOver) {
			t.Errorf("end: %v", err)
		}
	})
}

// A hold that fails behind its start gives the claim back, and says its key.
func TestHoldThatFailsBehindItsStart(t *testing.T) {
	for _, key := range []string{"", "mine"} {
		synctest.Test(t, func(t *testing.T) {
			s := newStore(1)
			s.down = true
			s.waits = &Error{Code: CodeForbidden}
			time.AfterFunc(20*time.Second, func() { s.set(func(s *store) { s.down = false }) })
			opts := []StartOption{Lease(time.Hour)}
			if key != "" {
				opts = append(opts, IdempotencyKey(key))
			} else {
				opts[0] = Lease(30 * time.Second) // the start took most of it
			}
			_, err := (&Client{via: s}).Hold(t.Context(), "ana", "xenia", opts...)
			var e *Error
			if !errors.As(err, &e) || e.Code != CodeForbidden || e.IdempotencyKey == "" || (key != "" && e.IdempotencyKey != key) {
				t.Fatalf("%v", err)
			}
			if s.starts != 1 || s.alive() != (key != "") { // with a key it may be somebody else's, too
				t.Errorf("%d starts, alive %v", s.starts, s.alive())
			}
		})
	}
}
