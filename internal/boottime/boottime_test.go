package boottime

import (
	"testing"
	"time"
)

// The clock goes at the rate of the monotonic one while nobody suspends the machine, and
// what it says is compared by it alone.
func TestClockGoes(t *testing.T) {
	clock := Clock()
	before, first := time.Now(), clock()
	for clock().Sub(first) < 20*time.Millisecond {
		if time.Since(before) > 20*time.Second {
			t.Fatal("it stands still")
		}
	}
	passed, all := clock().Sub(first), time.Since(before)
	if passed < 20*time.Millisecond || passed > all {
		t.Errorf("%v passed in %v", passed, all)
	}
	if d := first.Sub(before); d < -time.Second || d > time.Minute {
		t.Errorf("it began %v from the wall clock", d)
	}
}
