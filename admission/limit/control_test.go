package limit

import (
	"slices"
	"testing"
	"time"
)

// seen is a window: how long they took, how many were in flight, how many were
// finished a second, and how many were refused.
func seen(mean time.Duration, busy, rate float64, refused int) Window {
	return Window{Finished: 1000, Mean: mean, Busy: busy, Rate: rate, Refused: refused}
}

func after(c Control, windows ...Window) Control {
	for _, w := range windows {
		c, _ = c.Step(w)
	}
	return c
}

// Requests that take turns on the processors: whoever halves what is in flight halves
// how long it takes.
func TestTakesTurns(t *testing.T) {
	c := New(4096)
	long := seen(100*time.Millisecond, 1000, 10_000, 0)
	if c = after(c, slices.Repeat([]Window{long}, stands-1)...); c.Limit() != Rest {
		t.Fatalf("limit %d after a burst", c.Limit())
	}
	if c = after(c, long); c.Limit() != 500 {
		t.Fatalf("limit %d, want half of what was in flight", c.Limit())
	}
	c = after(c, seen(50*time.Millisecond, 500, 10_000, 500))
	if c.Limit() != Floor || c.Target() != GoodTime {
		t.Fatalf("limit %d, target %s", c.Limit(), c.Target())
	}
	c = after(c, seen(5*time.Millisecond, Floor, 50_000, 500)) // it became faster
	if c.Limit() != 281 {
		t.Errorf("limit %d, want a tenth more", c.Limit())
	}
}

// Requests that wait for a disk or a network: whoever halves what is in flight halves
// what is done. That is found out and taken back.
func TestWaits(t *testing.T) {
	c, far := New(4096), seen(100*time.Millisecond, 1000, 10_000, 0)
	if c = after(c, slices.Repeat([]Window{far}, stands)...); c.Limit() != 500 {
		t.Fatalf("limit %d", c.Limit())
	}
	few := seen(100*time.Millisecond, 500, 5_000, 200)
	if c = after(c, few, few); c.Target() != GoodTime {
		t.Fatalf("target %s after two windows", c.Target())
	}
	if c = after(c, few); c.Limit() < Rest || c.Target() != 200*time.Millisecond {
		t.Errorf("limit %d, target %s", c.Limit(), c.Target())
	}
}

// When more callers come, refusing them takes its share, and fewer are served at any
// limit. That is not a limit's fault.
func TestRefusalsTakeTheirShare(t *testing.T) {
	c := New(4096)
	c = after(c, slices.Repeat([]Window{seen(100*time.Millisecond, 1000, 10_000, 0)}, stands)...)
	c = after(c, slices.Repeat([]Window{seen(100*time.Millisecond, 300, 3_000, 1500)}, 10)...)
	if c.Limit() != Floor || c.Target() != GoodTime {
		t.Errorf("limit %d, target %s", c.Limit(), c.Target())
	}
}

func TestBounds(t *testing.T) {
	c := New(4096)
	for range 50 {
		c = after(c, seen(time.Second, 1000, 1000, 100))
	}
	if c.Limit() != Floor {
		t.Errorf("limit %d, want no less than %d", c.Limit(), Floor)
	}
	for range 200 {
		c = after(c, seen(time.Millisecond, 5000, 1000, 100))
	}
	if c.Limit() != 4096 {
		t.Errorf("limit %d, want no more than 4096", c.Limit())
	}
	if few := New(2); few.Limit() != 2 {
		t.Errorf("limit %d of at most 2", few.Limit())
	}
}

// Nothing is decided by a few, and when nobody is refused the limit goes back to rest.
func TestRests(t *testing.T) {
	c := New(4096)
	long := seen(60*time.Millisecond, 600, 10_000, 100)
	c = after(c, long, long)
	low := c.Limit()
	if c = after(c, Window{Finished: Enough - 1, Mean: time.Minute, Busy: 1, Refused: 7}); c.Limit() != low {
		t.Errorf("limit %d after a few, was %d", c.Limit(), low)
	}
	for range 20 {
		c = after(c, seen(time.Millisecond, 5, 5_000, 0))
	}
	if c.Limit() < Rest {
		t.Errorf("limit %d after two seconds of rest", c.Limit())
	}
}
