package natsapi

import (
	"sync"
	"sync/atomic"
)

// barrier lets many wait for a flush that costs the same for all of them: one
// serves everybody who came before it began.
type barrier struct {
	flush func() error

	asked  atomic.Uint64
	mu     sync.Mutex // held while flushing, and guards:
	served uint64     // of those who asked
}

// sync returns when a flush that began after the call has ended.
func (b *barrier) sync() error {
	mine := b.asked.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.served >= mine {
		return nil
	}
	all := b.asked.Load()
	if err := b.flush(); err != nil {
		return err
	}
	b.served = all
	return nil
}
