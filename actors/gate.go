package actors

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// gate refuses commands while the store cannot be reached, so that callers are
// told at once instead of after a hang. It closes when the store fails or takes
// longer than stallAfter, and opens when the store answers a ping.
type gate struct {
	ping     func(context.Context) error
	logger   *slog.Logger
	observer Observer

	closed atomic.Bool

	mu      sync.Mutex
	probing bool // guarded by mu: a goroutine is pinging
	stopped bool // guarded by mu
	stop    chan struct{}
	wg      sync.WaitGroup
}

const (
	stallAfter  = 2 * time.Second        // longer than any commit should take
	probeEvery  = 200 * time.Millisecond // while closed
	pingTimeout = time.Second
)

func newGate(ping func(context.Context) error, logger *slog.Logger, observer Observer) *gate {
	observer.StoreReachable(true)
	return &gate{ping: ping, logger: logger, observer: observer, stop: make(chan struct{})}
}

// open reports whether commands may pass.
func (g *gate) open() bool { return !g.closed.Load() }

// shut closes the gate and sees to it that it opens again.
func (g *gate) shut(why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probing || g.stopped {
		return
	}
	g.probing = true
	g.closed.Store(true)
	g.observer.StoreReachable(false)
	g.logger.Warn("the store cannot be reached; refusing commands until it answers", "cause", why)
	g.wg.Go(g.probe)
}

func (g *gate) probe() {
	for !g.reachable() {
		select {
		case <-g.stop:
			return
		case <-time.After(probeEvery):
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probing = false
	g.closed.Store(false)
	g.observer.StoreReachable(true)
	g.logger.Info("the store answers again")
}

func (g *gate) reachable() bool {
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	return g.ping(ctx) == nil
}

// watch returns a timer that shuts the gate. Whoever begins something resets it to
// stallAfter, and stops it when that is done.
func (g *gate) watch(what error) *time.Timer {
	t := time.AfterFunc(stallAfter, func() { g.shut(what) })
	t.Stop()
	return t
}

func (g *gate) close() {
	g.mu.Lock()
	if !g.stopped {
		g.stopped = true
		close(g.stop)
	}
	g.mu.Unlock()
	g.wg.Wait()
}
