package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func TestRetain(t *testing.T) {
	for given, want := range map[string]time.Duration{
		"365d": 365 * 24 * time.Hour, "8760h": 365 * 24 * time.Hour, "0": 0, "0d": 0, "100h30m": 100*time.Hour + 30*time.Minute,
		"65535d": 65535 * 24 * time.Hour,
	} {
		var a age
		if err := a.Set(given); err != nil || time.Duration(a) != want {
			t.Errorf("%s is %s (%v), want %s", given, time.Duration(a), err, want)
		}
		var again age
		if err := again.Set(a.String()); err != nil || again != a {
			t.Errorf("%s is told as %s, which is %s (%v)", given, &a, time.Duration(again), err)
		}
	}
	for _, given := range []string{"", "d", "-1d", "1.5d", "1y", "-5h", "65536d", "99999999999999999999d"} {
		if err := new(age).Set(given); err == nil {
			t.Errorf("%q is taken", given)
		}
	}
	// Given without a store, so that nothing but the flags is looked at.
	for retain, ok := range map[age]bool{0: true, age(73 * time.Hour): true, age(73*time.Hour - 1): false, age(time.Minute): false} {
		cfg := serveConfig{Retain: retain}
		cfg.NATS.Ingest.Remember = 72 * time.Hour
		if err := cfg.checkRetain(); (err == nil) != ok {
			t.Errorf("--retain %s: %v", &retain, err)
		}
	}
}

// ageing is a store in which a transaction of upkeep takes a tenth of a second.
type ageing struct {
	persistence.Store
	mu      sync.Mutex
	began   time.Time
	history []time.Duration // when history was pruned
	answers []pruning       // of the first ones; then there is nothing to do
	keys    int             // that are old
}

type pruning struct {
	persistence.Pruned
	err error
}

func (s *ageing) PruneHistory(_ context.Context, age time.Duration, limit int) (persistence.Pruned, error) {
	if age != 365*24*time.Hour || limit != historyLimit {
		panic("that is not what was asked for")
	}
	began := time.Since(s.began)
	<-time.After(100 * time.Millisecond) // not with the lock: time stands still for who waits for one
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history = append(s.history, began)
	if len(s.answers) == 0 {
		return persistence.Pruned{}, nil
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	return a.Pruned, a.err
}

func (s *ageing) Prune(_ context.Context, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(limit, s.keys)
	s.keys -= n
	return n, nil
}

func (s *ageing) PruneReports(context.Context, time.Duration, int) (int, error) {
	return 0, &messages.Error{Code: messages.CodeUnavailable}
}

// While there is much to do the store has its rest; a failure waits a minute, as
// does the end of the work.
func TestUpkeepLeavesTheStoreAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &ageing{began: time.Now(), keys: 3*pruneLimit + 7, answers: []pruning{
			{persistence.Pruned{Calls: 3, Logs: 2, Silenced: 1, More: true}, nil},
			{persistence.Pruned{More: true}, nil},
			{persistence.Pruned{}, errors.New("away")},
			{persistence.Pruned{Calls: 4}, nil},
		}}
		registry := prometheus.NewRegistry()
		u := newUpkeep(s, time.Hour, 365*24*time.Hour, registry, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		u.start(ctx, all.Go)
		<-time.After(150 * time.Second)
		cancel()
		all.Wait()
		want := []time.Duration{0, 500 * time.Millisecond, time.Second, 61100 * time.Millisecond, 121200 * time.Millisecond}
		if !slices.Equal(s.history, want) {
			t.Errorf("history was pruned at %v, want %v", s.history, want)
		}
		for what, want := range map[string]float64{
			removedCalls: 7, removedLogs: 2, silencedCalls: 1, removedKeys: 3*pruneLimit + 7, removedReports: 0, removedUnheard: 0,
		} {
			if got := testutil.ToFloat64(u.removed.WithLabelValues(what)); got != want {
				t.Errorf("%s: %v removed, want %v", what, got, want)
			}
		}
	})
}

func TestUpkeepKeepsEverythingUnlessTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &ageing{began: time.Now()}
		u := newUpkeep(s, time.Hour, 0, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		u.start(ctx, all.Go)
		<-time.After(time.Hour)
		cancel()
		all.Wait()
		if len(s.history) > 0 {
			t.Errorf("history was pruned at %v", s.history)
		}
	})
}
