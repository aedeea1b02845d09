//go:build !linux

package boottime

import "time"

// Clock returns Go's own clock.
func Clock() func() time.Time { return time.Now }
