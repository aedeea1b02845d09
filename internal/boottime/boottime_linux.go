package boottime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock returns a clock: times to be compared with each other, which setting the machine's
// clock does not move.
func Clock() func() time.Time {
	start := time.Now()
	began, err := sinceBoot()
	if err != nil { // not a kernel that has it
		return time.Now
	}
	origin := start.Round(0) // times without a monotonic reading are compared by what they say
	return func() time.Time {
		now, err := sinceBoot()
		if err != nil {
			return origin.Add(time.Since(start))
		}
		return origin.Add(now - began)
	}
}

func sinceBoot() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}
