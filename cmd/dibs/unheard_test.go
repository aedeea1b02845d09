package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/persistence"
)

// shelf is an outbox of rows of one byte each; those up to old have passed their time.
type shelf struct {
	persistence.Outbox
	first, last, old int64 // rows that are there: first up to last
	err              error
	measured         int // rows, all together
}

func (s *shelf) OutboxSize(_ context.Context, after int64, limit int) (persistence.OutboxPart, int64, error) {
	from := max(after+1, s.first)
	n := min(int64(limit), max(0, s.last-from+1))
	s.measured += int(n)
	return persistence.OutboxPart{Rows: int(n), Bytes: n}, max(after, from+n-1), s.err
}

func (s *shelf) TrimOutbox(_ context.Context, age time.Duration, excess int64, limit int) (persistence.OutboxPart, error) {
	if age != time.Hour {
		panic("that is not what was asked for")
	}
	n := min(int64(limit), max(0, s.old-s.first+1, excess), s.last-s.first+1)
	s.first += n
	return persistence.OutboxPart{Rows: int(n), Bytes: n}, s.err
}

// What nobody can hear is held to what the stream would hold, and each row is measured once.
func TestUnheardIsBounded(t *testing.T) {
	const most = 3 * pruneLimit
	s := &shelf{first: 1, last: 2*pruneLimit + 10}
	u := &unheard{outbox: s, age: time.Hour, most: most}
	// until reports what was removed by each trim, until there is nothing to do at once.
	until := func() (removed []int) {
		t.Helper()
		for {
			n, more, err := u.trim(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if removed = append(removed, n); !more {
				return removed
			}
		}
	}
	holds := func(what string, want, bytes int64, removed ...int) {
		t.Helper()
		if got := until(); !slices.Equal(got, removed) {
			t.Errorf("%s: %d were removed, want %d", what, got, removed)
		}
		if got := s.last - s.first + 1; got != want || u.bytes != bytes {
			t.Errorf("%s: %d rows are left and %d bytes reckoned, want %d and %d", what, got, u.bytes, want, bytes)
		}
	}
	holds("little", 2*pruneLimit+10, 2*pruneLimit+10, 0, 0, 0)
	s.last += 2 * pruneLimit
	holds("too much", most, most, 10, pruneLimit, 0)
	s.old = s.first + 6
	holds("old", most-7, most-7, 7)
	s.last += 8
	holds("one too much", most, most, 1)
	if s.measured != int(s.last) {
		t.Errorf("%d rows were measured, want each of %d once", s.measured, s.last)
	}
	s.last, s.err = s.last+5, errors.New("away")
	if _, _, err := u.trim(t.Context()); err == nil {
		t.Error("the store is away, and nobody says so")
	}
	s.err = nil
	holds("back, and measured again", most, most, 0, 0, 0, 5)
}
