package postgres

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// A server that is kept out says by whom, also when its time ends in the middle of a try.
func TestWhoIsInTheWayIsTold(t *testing.T) {
	late := wrap(context.DeadlineExceeded)
	refused := errors.New("connection refused")
	for name, test := range map[string]struct {
		tries []error // the last one takes until the time is over if it is late, and goes on for ever if not
		want  error
	}{
		"in":                                     {[]error{errNotYet, nil}, nil},
		"nobody, but the database is slow":       {[]error{late}, late},
		"another server":                         {[]error{errOccupied}, errOccupied},
		"the time ends in a try":                 {[]error{errOtherKind, late}, errOtherKind},
		"the own last session is not over yet":   {[]error{errOtherKind, errNotYet}, errOtherKind},
		"the same, and the time ends in a try":   {[]error{errOtherKind, errNotYet, late}, errOtherKind},
		"a killed one's writes after its lock":   {[]error{errOccupied, errNotYet}, errNotYet},
		"waiting is of no use":                   {[]error{errOccupied, refused}, refused},
		"another kind, then one that is alone":   {[]error{errOtherKind, errOccupied}, errOccupied},
		"it was kept out, and then came in":      {[]error{errOccupied, errOtherKind, nil}, nil},
		"a slow database after one that is gone": {[]error{errNotYet, late}, errNotYet},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), occupyWithin)
				defer cancel()
				tries := 0
				got := untilIn(ctx, func(ctx context.Context) error {
					err := test.tries[min(tries, len(test.tries)-1)]
					tries++
					if errors.Is(err, context.DeadlineExceeded) {
						<-ctx.Done()
					}
					return err
				})
				if !errors.Is(got, test.want) || (test.want == nil) != (got == nil) {
					t.Errorf("got %v, want %v", got, test.want)
				}
			})
		})
	}
}

// Who has given up the place tells nothing from memory, however lately it was had.
func TestWhoGivesUpThePlaceIsNotTrusted(t *testing.T) {
	s := &Store{place: newPlace(nil)}
	if !s.Trusted() {
		t.Error("one that never had a place is no server that is alone")
	}
	for range 2 {
		s.place.saw(s.place.now(), true)
		if !s.Trusted() {
			t.Error("not trusted with the place")
		}
		s.place.leave()
		if s.Trusted() {
			t.Error("trusted without the place")
		}
	}
}
