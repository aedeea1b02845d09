package boottime

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// It is the clock that counts a suspended machine's time, and no other: two readings of
// that one enclose what it says.
func TestClockCountsFromBoot(t *testing.T) {
	read := func() time.Duration {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
			t.Fatal(err)
		}
		return time.Duration(now.Nano())
	}
	clock := Clock()
	a := read()
	first := clock()
	b := read()
	if first != first.Round(0) {
		t.Error("its times have a monotonic reading, which stands still in a suspended machine")
	}
	for range 1000 {
		c := read()
		passed := clock().Sub(first)
		if d := read(); passed < c-b || passed > d-a {
			t.Fatalf("%v passed, between %v and %v", passed, c-b, d-a)
		}
	}
}
