//go:build !linux && !darwin && !netbsd && !openbsd

package harness

import "testing"

// AllowFiles has nothing to raise here.
func AllowFiles(testing.TB, uint64) {}
