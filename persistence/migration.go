package persistence

import "time"

// Migration is one step of a store's schema.
type Migration struct {
	Version   int64
	Name      string     // of its file
	AppliedAt *time.Time // nil: pending
}
