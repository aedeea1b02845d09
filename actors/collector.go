package actors

import "sync"

// collector gathers items while earlier ones are being worked on, and hands
// over what has come together as one batch. One goroutine works.
type collector[T any] struct {
	work func([]T)
	max  int

	mu      sync.Mutex
	waiting []T           // guarded by mu
	working bool          // guarded by mu: the goroutine is running
	closed  bool          // guarded by mu
	idle    chan struct{} // guarded by mu: closed when work ends after close
}

func newCollector[T any](maxBatch int, work func([]T)) *collector[T] {
	return &collector[T]{work: work, max: maxBatch}
}

// add never blocks. After close it does nothing.
func (c *collector[T]) add(item T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.waiting = append(c.waiting, item)
	if !c.working {
		c.working = true
		go c.run()
	}
}

func (c *collector[T]) run() {
	for batch := c.next(); batch != nil; batch = c.next() {
		c.work(batch)
	}
}

func (c *collector[T]) next() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), c.max)
	if n == 0 {
		c.working = false
		c.waiting = nil
		if c.idle != nil {
			close(c.idle)
		}
		return nil
	}
	batch := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	return batch
}

// close takes no more items and returns when nothing is left to do.
func (c *collector[T]) close() {
	c.mu.Lock()
	c.closed = true
	if !c.working {
		c.mu.Unlock()
		return
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	<-idle
}
