package actors

import (
	"runtime"
	"sync"
)

// throughput is how many messages of one mailbox are handled before others may
// go on.
const throughput = 100

// workers runs mailboxes on goroutines that stay. A goroutine a run, which is
// protoactor's default, starts with a small stack and copies it as it grows:
// that alone was a third of the engine's time. Actors never block, so a few
// workers are enough.
type workers struct {
	runs  chan *mailbox // nil: one worker is to end
	count int
	wg    sync.WaitGroup
}

func startWorkers() *workers {
	w := &workers{runs: make(chan *mailbox, 4096), count: 2 * runtime.GOMAXPROCS(0)}
	for range w.count {
		w.wg.Go(func() {
			for m := <-w.runs; m != nil; m = <-w.runs {
				m.run()
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

// schedule has a mailbox run. It never blocks, because it is called by workers
// too.
func (w *workers) schedule(m *mailbox) {
	select {
	case w.runs <- m:
	default:
		go m.run()
	}
}
