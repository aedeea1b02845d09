package limit

import (
	"testing"
	"time"
)

// crowded is a window in which starts were refused, or not, and what was to run waited.
func crowded(refused int, waited time.Duration) Window {
	w := seen(20*time.Millisecond, 250, 10_000, refused)
	w.Waited = waited
	return w
}

// While starts are refused and the processors are taken whole, fewer are let in; when there
// is time on them again, more.
func TestCrowd(t *testing.T) {
	c := New(4096)
	limits := func(w Window, want ...int) {
		t.Helper()
		for i, n := range want {
			before := c.Limit()
			var lowered bool
			if c, lowered = c.Step(w); c.Limit() != n || lowered != (n < before) {
				t.Fatalf("window %d: limit %d (lowered: %v), want %d", i, c.Limit(), lowered, n)
			}
		}
	}
	limits(crowded(0, time.Second), Rest, Rest)                          // a fleet may: nobody is refused
	limits(crowded(100, 2*time.Millisecond), 179, 125, 87, Least, Least) // less than may always be in flight
	limits(crowded(100, 400*time.Microsecond), Least, Least)             // neither
	limits(crowded(100, 200*time.Microsecond), 76, 92, 110, 132)         // up by a fifth
	limits(crowded(100, 550*time.Microsecond), 120)                      // by as much as it is too long
	limits(crowded(0, 10*time.Millisecond), 144, 173, 208, 250, 300)     // nobody needs it
	for range 20 {                                                       // and it is gone in a few seconds
		c, _ = c.Step(crowded(0, 0))
	}
	if c.Limit() < Rest || c.crowd != (crowd{}) {
		t.Errorf("limit %d, %+v", c.Limit(), c.crowd)
	}
}

// Where a store is far away, waiting for a processor is a small part of what a start takes: it may
// be longer before anybody is refused for it.
func TestCrowdFarFromTheStore(t *testing.T) {
	for base, want := range map[time.Duration]time.Duration{
		0: Crowded, 4 * time.Millisecond: Crowded, 9 * time.Millisecond: Crowded, 36 * time.Millisecond: 2 * time.Millisecond,
	} {
		if got := patience(base); got != want {
			t.Errorf("where a start takes %s by itself what is to run may wait %s, want %s", base, got, want)
		}
	}
	near, far := crowd{}.step(crowded(100, time.Millisecond), Rest, 0), crowd{}.step(crowded(100, time.Millisecond), Rest, 36*time.Millisecond)
	if near.room == 0 || far.room != 0 {
		t.Errorf("near %+v, far %+v", near, far)
	}
}

// It is found out as well when nothing is finished.
func TestCrowdWithoutAnEnd(t *testing.T) {
	c, _ := New(4096).Step(Window{Refused: 500, Waited: time.Second, Busy: 100})
	if c.Limit() != 179 {
		t.Errorf("limit %d", c.Limit())
	}
}
