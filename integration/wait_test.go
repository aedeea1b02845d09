package integration

import (
	"testing"
	"time"
)

// waitFor waits until a condition holds. It looks often, and gives up, failing
// the test, after limit.
func waitFor(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; <-tick.C {
		if holds() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still waiting for %s after %v", what, limit)
		}
	}
}
