package admission

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// What is to run waits longer where more wants to run than there are processors.
func TestWaitsAreSeen(t *testing.T) {
	w := newWaits()
	var all sync.WaitGroup
	end := time.Now().Add(200 * time.Millisecond)
	for range 50 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for time.Now().Before(end) {
				runtime.Gosched()
				for began := time.Now(); time.Since(began) < 100*time.Microsecond; {
				}
			}
		})
	}
	all.Wait()
	busy := w.mean()
	if busy < time.Millisecond || busy > time.Minute {
		t.Errorf("fifty of them for each processor, in turns of 100 µs, waited %v on average", busy)
	}
	again := w.mean() // of what came since: this goroutine alone, or nothing
	if again >= busy {
		t.Errorf("then nothing ran, and %v is told, before %v", again, busy)
	}
}

// Reading them is not allocated for: it is done ten times a second, in somebody's request.
func TestWaitsAllocateNothing(t *testing.T) {
	w := newWaits()
	if n := testing.AllocsPerRun(100, func() { w.mean() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
