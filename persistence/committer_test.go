package persistence

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// The fake store is a list of committed statements. A transaction of it has
// two groups of statements, and can fail at each stage.
type fakeStore struct {
	committed []string
	tries     int
	faults    []fault // of each try, in order; none when they have run out
	fate      Fate    // what Resolve finds; zero: what is true
}

type stage string

const (
	never       stage = ""
	begin       stage = "begin"
	groupOne    stage = "first group of statements"
	groupTwo    stage = "second group of statements"
	beforeEnd   stage = "before the commit"
	requestLost stage = "commit request lost"
	refusedEnd  stage = "commit refused by the store"
	replyLost   stage = "commit reply lost"
)

type fault struct {
	at    stage
	retry bool                      // the store calls it a deadlock
	then  func(ctx context.Context) // runs as the fault happens
}

var (
	errBroken   = errors.New("connection broken")
	errDeadlock = errors.New("deadlock")
	errRefused  = errors.New("refused")
)

func judgeFake(err error) Verdict {
	switch {
	case errors.Is(err, errDeadlock):
		return VerdictRetry
	case errors.Is(err, errRefused):
		return VerdictNotApplied
	}
	return VerdictUnsure
}

type fakeAttempt struct {
	store      *fakeStore
	fault      fault
	written    []string
	rolledBack int
}

func (s *fakeStore) attempt() Attempt {
	a := &fakeAttempt{store: s}
	if s.tries < len(s.faults) {
		a.fault = s.faults[s.tries]
	}
	s.tries++
	return a
}

func (a *fakeAttempt) failAt(ctx context.Context, s stage) error {
	if a.fault.at != s {
		return nil
	}
	if a.fault.then != nil {
		a.fault.then(ctx)
	}
	switch {
	case a.fault.retry:
		return errDeadlock
	case s == refusedEnd:
		return errRefused
	}
	return errBroken
}

func (a *fakeAttempt) Apply(ctx context.Context) error {
	if err := a.failAt(ctx, begin); err != nil {
		return err
	}
	for _, s := range []stage{groupOne, groupTwo} {
		if err := a.failAt(ctx, s); err != nil {
			return err
		}
		a.written = append(a.written, string(s))
	}
	return a.failAt(ctx, beforeEnd)
}

func (a *fakeAttempt) Commit(ctx context.Context) error {
	for _, s := range []stage{requestLost, refusedEnd} {
		if err := a.failAt(ctx, s); err != nil {
			return err
		}
	}
	a.store.committed = append(a.store.committed, a.written...)
	return a.failAt(ctx, replyLost)
}

func (a *fakeAttempt) Resolve(ctx context.Context) Fate {
	if ctx.Err() != nil {
		return FateUnknown
	}
	switch {
	case a.store.fate != FateUnknown:
		return a.store.fate
	case a.fault.at == replyLost:
		return FateApplied
	}
	return FateNotApplied
}

func (a *fakeAttempt) Rollback() { a.rolledBack++ }

func newFakeCommitter() *Committer {
	return &Committer{
		Judge: judgeFake, Tries: 3, ResolveWithin: time.Minute,
		Pause: func(context.Context, int) {},
	}
}

// At each stage of a commit: "failed, not applied" and "failed, but applied".
func TestFaultTable(t *testing.T) {
	all := []string{string(groupOne), string(groupTwo)}
	deadlocks := func(n int, at stage) []fault { return slices.Repeat([]fault{{at: at, retry: true}}, n) }
	for name, tc := range map[string]struct {
		faults []fault
		code   messages.Code
		stored []string
		tries  int
	}{
		"no fault":                          {nil, messages.OK, all, 1},
		"begin":                             {[]fault{{at: begin}}, messages.CodeUnavailable, nil, 1},
		"first group":                       {[]fault{{at: groupOne}}, messages.CodeUnavailable, nil, 1},
		"second group":                      {[]fault{{at: groupTwo}}, messages.CodeUnavailable, nil, 1},
		"before the commit":                 {[]fault{{at: beforeEnd}}, messages.CodeUnavailable, nil, 1},
		"commit request lost":               {[]fault{{at: requestLost}}, messages.CodeUnavailable, nil, 1},
		"commit refused":                    {[]fault{{at: refusedEnd}}, messages.CodeUnavailable, nil, 1},
		"commit reply lost":                 {[]fault{{at: replyLost}}, messages.OK, all, 1},
		"deadlock in the first group, once": {deadlocks(1, groupOne), messages.OK, all, 2},
		"deadlock in the second group":      {deadlocks(2, groupTwo), messages.OK, all, 3},
		"deadlock at the commit, once":      {deadlocks(1, refusedEnd), messages.OK, all, 2},
		"deadlocks without end":             {deadlocks(9, groupOne), messages.CodeUnavailable, nil, 3},
		"deadlocks at the commit":           {deadlocks(9, refusedEnd), messages.CodeUnavailable, nil, 3},
		"deadlock, then broken":             {[]fault{{at: groupOne, retry: true}, {at: groupTwo}}, messages.CodeUnavailable, nil, 2},
		"deadlock, then reply lost":         {[]fault{{at: groupOne, retry: true}, {at: replyLost}}, messages.OK, all, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := &fakeStore{faults: tc.faults}
			err := newFakeCommitter().Run(t.Context(), s.attempt)
			if got := messages.CodeOf(err); got != tc.code {
				t.Errorf("code %q, want %q: %v", got, tc.code, err)
			}
			if !slices.Equal(s.committed, tc.stored) {
				t.Errorf("store holds %v, want %v", s.committed, tc.stored)
			}
			if s.tries != tc.tries {
				t.Errorf("%d tries, want %d", s.tries, tc.tries)
			}
		})
	}
}

// unresolved is an attempt whose store cannot be asked what became of it.
type unresolved struct{ *fakeAttempt }

func (unresolved) Resolve(context.Context) Fate { return FateUnknown }

func TestUnknownIsNeverGuessed(t *testing.T) {
	for _, tc := range []struct {
		at     stage
		stored int
	}{{requestLost, 0}, {replyLost, 2}} {
		t.Run(string(tc.at), func(t *testing.T) {
			s := &fakeStore{faults: []fault{{at: tc.at}}}
			err := newFakeCommitter().Run(t.Context(), func() Attempt { return unresolved{s.attempt().(*fakeAttempt)} })
			if got := messages.CodeOf(err); got != messages.CodeOutcomeUnknown {
				t.Errorf("code %q, want %q", got, messages.CodeOutcomeUnknown)
			}
			if len(s.committed) != tc.stored || s.tries != 1 {
				t.Errorf("%d statements in %d tries, want %d in 1", len(s.committed), s.tries, tc.stored)
			}
		})
	}
}

// A caller that gives up before the commit gets "not applied"; one that gives
// up during it gets what really happened.
func TestCallerGivesUp(t *testing.T) {
	for _, tc := range []struct {
		at     stage
		code   messages.Code
		stored int
	}{
		{groupOne, messages.CodeUnavailable, 0},
		{beforeEnd, messages.CodeUnavailable, 0},
		{requestLost, messages.CodeUnavailable, 0},
		{replyLost, messages.OK, 2},
	} {
		t.Run(string(tc.at), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := &fakeStore{faults: []fault{{at: tc.at, then: func(context.Context) { cancel() }}}}
			err := newFakeCommitter().Run(ctx, s.attempt)
			if got := messages.CodeOf(err); got != tc.code || len(s.committed) != tc.stored {
				t.Errorf("code %q with %d statements, want %q with %d", got, len(s.committed), tc.code, tc.stored)
			}
		})
	}
}

func TestNoCommitAfterTheCallerGaveUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &fakeStore{}
	err := newFakeCommitter().Run(ctx, s.attempt)
	if messages.CodeOf(err) != messages.CodeUnavailable || len(s.committed) != 0 {
		t.Errorf("%v with %v in the store", err, s.committed)
	}
}

func TestEveryAttemptIsLetGo(t *testing.T) {
	s := &fakeStore{faults: []fault{{at: groupOne, retry: true}, {at: requestLost}}}
	var made []*fakeAttempt
	_ = newFakeCommitter().Run(t.Context(), func() Attempt {
		a := s.attempt().(*fakeAttempt)
		made = append(made, a)
		return a
	})
	for i, a := range made {
		if a.rolledBack != 1 {
			t.Errorf("attempt %d was let go %d times", i, a.rolledBack)
		}
	}
}

// What Apply's error says of itself reaches the caller, except that nothing is
// unknown about what was never committed.
func TestCodesOfApply(t *testing.T) {
	for _, tc := range []struct{ carried, want messages.Code }{
		{messages.CodeUserNotFound, messages.CodeUserNotFound},
		{messages.CodeOutcomeUnknown, messages.CodeUnavailable},
	} {
		err := notApplied(&messages.Error{Code: tc.carried})
		if got := messages.CodeOf(err); got != tc.want {
			t.Errorf("%q became %q, want %q", tc.carried, got, tc.want)
		}
	}
}
