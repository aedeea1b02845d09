package persistence

import "time"

// Migration is one step of a store's schema.
type Migration struct {
	Version   int64
	Name      string     // of its file
	AppliedAt *time.Time // nil: pending
}

// Pending returns how many of the steps are to be applied yet.
func Pending(steps []Migration) int {
	n := 0
	for _, m := range steps {
		if m.AppliedAt == nil {
			n++
		}
	}
	return n
}
