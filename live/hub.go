package live

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// keepFor is how long frames are still encoded and kept when the last reader
// has gone, so that a reader which lost its connection can resume.
const keepFor = time.Minute

// hub gives every change to every reader. Changes are numbered and queued by
// whoever makes them, which costs nothing to speak of; the pump encodes what has
// queued up, once, and wakes the readers, who all write the same bytes.
type hub struct {
	epoch string
	cfg   Config
	dirty chan struct{} // wakes the pump

	mu      sync.RWMutex
	running bool
	closed  bool
	queue   []frame // not encoded yet; the last has number last
	last    uint64  // the number of the newest frame
	ring    []*batch
	bytes   int    // in ring
	sealed  uint64 // the newest frame that is in the ring, or was
	floor   uint64 // readers at or after this can go on from the ring
	resetAt uint64 // readers before this need a snapshot
	wake    chan struct{}
	readers int
	gone    time.Time // when the last reader left
}

// batch is what was encoded at a time.
type batch struct {
	first, last uint64
	bytes       []byte
	ends        []int // frame first+i ends at bytes[ends[i]]
}

func newHub(epoch string, cfg Config) *hub {
	return &hub{epoch: epoch, cfg: cfg, dirty: make(chan struct{}, 1), wake: make(chan struct{})}
}

// run pumps until ctx ends. The first change after a pause goes out at once;
// under load readers are woken at most once every WakeEvery.
func (h *hub) run(ctx context.Context) {
	defer h.close()
	ping := time.NewTicker(h.cfg.PingEvery)
	defer ping.Stop()
	rest := time.NewTicker(h.cfg.WakeEvery)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ping.C:
			h.add(frame{name: framePing, data: struct{}{}})
			continue
		case <-h.dirty:
		}
		h.pump()
		rest.Reset(h.cfg.WakeEvery)
		select {
		case <-ctx.Done():
			return
		case <-rest.C:
		}
	}
}

// open says that run is about to be called. Before that nothing is queued.
func (h *hub) open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = true
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running, h.closed = false, true
	close(h.wake)
}

// append takes changes of calls. Who calls it holds Model.mu, which makes the
// order of frames that of the changes.
func (h *hub) append(changes []messages.Event) {
	frames := make([]frame, len(changes))
	for i, e := range changes {
		frames[i] = frame{name: string(e.Type), data: e}
	}
	h.add(frames...)
}

// tellStale tells readers whether events may be missing.
func (h *hub) tellStale(stale bool) {
	h.add(frame{name: frameStale, data: staleNotice{stale}})
}

func (h *hub) add(frames ...frame) {
	h.mu.Lock()
	for i := range frames {
		h.last++
		frames[i].seq = h.last
	}
	if h.running {
		h.queue = append(h.queue, frames...)
	} else {
		h.forget()
	}
	h.mu.Unlock()
	h.signal()
}

func (h *hub) signal() {
	select {
	case h.dirty <- struct{}{}:
	default:
	}
}

// reset has every reader start anew with a snapshot of what the model is now.
// Who calls it holds Model.mu.
func (h *hub) reset() {
	h.mu.Lock()
	h.last++ // so that readers who have everything so far are before it, too
	h.forget()
	h.resetAt = h.last
	h.mu.Unlock()
	h.signal()
}

// forget needs h.mu. Nobody can go on from before now.
func (h *hub) forget() {
	h.queue, h.ring, h.bytes = nil, nil, 0
	h.sealed, h.floor = h.last, h.last
}

// pump encodes the queue and wakes the readers.
func (h *hub) pump() {
	queue := h.take()
	var b *batch
	if len(queue) > 0 {
		b = encode(h.epoch, queue)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if b != nil && b.first > h.sealed { // else there was a reset meanwhile
		h.keep(b)
	}
	close(h.wake)
	h.wake = make(chan struct{})
}

// take returns what is to be encoded: nothing, when nobody has listened for a
// while.
func (h *hub) take() []frame {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers == 0 && h.cfg.Now().Sub(h.gone) > keepFor {
		h.forget()
		return nil
	}
	queue := h.queue
	h.queue = nil
	return queue
}

// keep needs h.mu. It adds a batch, and lets go of the oldest ones beyond the
// bound; never of the newest.
func (h *hub) keep(b *batch) {
	h.ring = append(h.ring, b)
	h.bytes += len(b.bytes)
	h.sealed = b.last
	drop := 0
	for ; h.bytes > h.cfg.RingBytes && drop < len(h.ring)-1; drop++ {
		h.bytes -= len(h.ring[drop].bytes)
		h.floor = h.ring[drop].last
	}
	h.ring = slices.Delete(h.ring, 0, drop)
}

func (h *hub) join() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers++
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers--
	h.gone = h.cfg.Now()
}

func (h *hub) readerCount() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.readers
}

func (h *hub) position() uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.last
}
