package heap

import (
	"runtime"
	"testing"
	"time"
)

// waitFor collects until the setting is as it should be.
func waitFor(t *testing.T, what string, ok func(percent uint64) bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; <-time.After(time.Millisecond) {
		_, set := state()
		if ok(set) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: GOGC is %d", what, set)
		}
		runtime.GC()
	}
}

func TestGarbageFollowsWhatIsAlive(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	k := Floor()
	waitFor(t, "little is alive", func(p uint64) bool { return p > 500 })
	much := make([]byte, 600<<20) // never touched
	waitFor(t, "600 MiB are alive", func(p uint64) bool { return p == 25 })
	runtime.KeepAlive(much)
	waitFor(t, "little is alive again", func(p uint64) bool { return p > 500 })
	runtime.KeepAlive(k)
	waitFor(t, "nobody keeps it", func(p uint64) bool { return p == goPercent })
}

func TestEnvironmentHasItsWay(t *testing.T) {
	t.Setenv("GOGC", "50")
	if Floor() != nil {
		t.Error("GOGC is not what the environment says")
	}
}
