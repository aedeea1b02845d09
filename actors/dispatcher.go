package actors

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// throughput is how many messages of one mailbox are handled before others may
// go on.
const throughput = 100

// workers runs mailboxes on goroutines that stay. A goroutine a run, which is
// protoactor's default, starts with a small stack and copies it as it grows:
// that alone was a third of the engine's time. Actors never block, so a few
// workers are enough.
type workers struct {
	runs  chan func() // nil: one worker is to end
	count int
	wg    sync.WaitGroup
}

var _ actor.Dispatcher = (*workers)(nil)

func startWorkers() *workers {
	w := &workers{runs: make(chan func(), 4096), count: 2 * runtime.GOMAXPROCS(0)}
	for range w.count {
		w.wg.Go(func() {
			for run := <-w.runs; run != nil; run = <-w.runs {
				run()
			}
		})
	}
	return w
}

// stop ends the workers. What is scheduled after that is not run.
func (w *workers) stop() {
	for range w.count {
		w.runs <- nil
	}
	w.wg.Wait()
}

// Schedule implements [actor.Dispatcher]. It never blocks, because it is
// called by workers too.
func (w *workers) Schedule(run func()) {
	select {
	case w.runs <- run:
	default:
		go run()
	}
}

// Throughput implements [actor.Dispatcher].
func (*workers) Throughput() int { return throughput }
