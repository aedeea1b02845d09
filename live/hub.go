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

const (
	// groups is into how many groups readers are divided. Under load they are
	// woken one after another, so that a thousand of them do not stand in line
	// for the processors at once, with every request behind them.
	groups = 4
	// mostChunk is the size of a chunk: what a reader that lags is sent at once.
	mostChunk = 64 << 10
	// mostSpare is for how many frames memory is kept, of the queue and of what they are
	// encoded into: some MB, and many times what a busy node has in a turn.
	mostSpare = 4096
	frameSize = 1 << 10 // bytes of a frame, most have less
)

// hub gives every change to every reader. Changes are numbered and queued by
// whoever makes them, which costs nothing to speak of; the pump encodes what has
// queued up, once, and wakes the readers, who all write the same bytes.
type hub struct {
	epoch  string
	cfg    Config
	dirty  chan struct{} // wakes the pump
	pumped chunk         // what the pump encoded last; it is the pump's alone

	mu      sync.RWMutex
	running bool
	closed  bool
	queue   []frame // not encoded yet; the last has number last
	spare   []frame // memory for the next queue
	last    uint64  // the number of the newest frame
	ring    []*chunk
	bytes   int    // in ring
	sealed  uint64 // the newest frame that is in the ring, or was
	floor   uint64 // readers at or after this can go on from the ring
	resetAt uint64 // readers before this need a snapshot
	wake    [groups]chan struct{}
	readers int
	joined  int       // readers so far; gives each its group
	gone    time.Time // when the last reader left
}

// chunk is encoded frames. Frames are added to the newest one while it has room;
// bytes that are in it never change, so readers write them without a lock.
type chunk struct {
	first, last uint64
	bytes       []byte
	ends        []int // frame first+i ends at bytes[ends[i]]
}

func newHub(epoch string, cfg Config) *hub {
	h := &hub{epoch: epoch, cfg: cfg, dirty: make(chan struct{}, 1)}
	for g := range h.wake {
		h.wake[g] = make(chan struct{})
	}
	return h
}

// run pumps until ctx ends. The first change after a pause goes out at once;
// under load each group of readers is woken once every WakeEvery.
func (h *hub) run(ctx context.Context) {
	defer h.close()
	ping := time.NewTicker(h.cfg.PingEvery)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ping.C:
			h.ping()
		case <-h.dirty:
			h.pump(0, groups)
			h.pumpInTurns(ctx, ping.C)
		}
	}
}

// pumpInTurns wakes one group after another until nothing new has come for a
// whole round.
func (h *hub) pumpInTurns(ctx context.Context, ping <-chan time.Time) {
	turn := time.NewTicker(max(h.cfg.WakeEvery/groups, time.Microsecond))
	defer turn.Stop()
	for g, quiet := 0, 0; quiet < groups; {
		select {
		case <-ctx.Done():
			return
		case <-ping:
			h.ping()
		case <-turn.C:
			if quiet++; h.pump(g, g+1) {
				quiet = 0
			}
			g = (g + 1) % groups
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
	for _, wake := range h.wake {
		close(wake)
	}
}

// append takes changes of calls. Who calls it holds Model.mu, which makes the
// order of frames that of the changes.
func (h *hub) append(changes []messages.Event) {
	h.mu.Lock()
	heard := h.heard()
	for i := range changes {
		h.last++
		if heard {
			h.queue = append(h.queue, frame{seq: h.last, name: string(changes[i].Type), event: changes[i]})
		}
	}
	h.added(heard)
}

// tellStale tells readers whether events may be missing.
func (h *hub) tellStale(stale bool) {
	h.add(frame{name: frameStale, data: staleNotice{stale}})
}

func (h *hub) ping() { h.add(frame{name: framePing, data: struct{}{}}) }

func (h *hub) add(frames ...frame) {
	h.mu.Lock()
	heard := h.heard()
	for i := range frames {
		h.last++
		frames[i].seq = h.last
	}
	if heard {
		h.queue = append(h.queue, frames...)
	}
	h.added(heard)
}

// added needs h.mu, and gives it back.
func (h *hub) added(heard bool) {
	if !heard {
		h.forget()
	}
	h.mu.Unlock()
	if heard {
		h.signal()
	}
}

// heard needs h.mu. It reports whether what is said now has to be kept for anybody.
func (h *hub) heard() bool { return h.running && !h.deserted() }

// deserted needs h.mu. It reports whether nobody has listened for a while.
func (h *hub) deserted() bool { return h.readers == 0 && h.cfg.Now().Sub(h.gone) > keepFor }

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

// pump encodes the queue and wakes the groups from up to to. It reports whether
// there was anything new, which the other groups have to be woken for as well.
func (h *hub) pump(from, to int) (news bool) {
	select {
	case <-h.dirty:
		news = true
	default:
	}
	queue := h.take()
	if len(queue) > 0 {
		h.pumped.encode(h.epoch, queue)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(queue) > 0 && h.pumped.first > h.sealed { // else there was a reset meanwhile
		h.keep(&h.pumped)
	}
	h.reuse(queue)
	for g := from; g < to; g++ {
		close(h.wake[g])
		h.wake[g] = make(chan struct{})
	}
	return news
}

// take returns what is to be encoded: nothing, when nobody has listened for a
// while.
func (h *hub) take() []frame {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.deserted() {
		h.forget()
		return nil
	}
	queue := h.queue
	h.queue, h.spare = h.spare, nil
	return queue
}

// reuse needs h.mu. It keeps the memory of what was encoded, unless that is very much.
func (h *hub) reuse(queue []frame) {
	if cap(h.pumped.bytes) > mostSpare*frameSize {
		h.pumped = chunk{}
	}
	if cap(queue) > mostSpare {
		return
	}
	clear(queue)
	h.spare = queue[:0]
}

// keep needs h.mu. It adds frames to the ring, and lets go of the oldest chunks
// beyond the bound; never of the newest.
func (h *hub) keep(fresh *chunk) {
	h.sealed = fresh.last
	if n := len(h.ring); n > 0 && h.ring[n-1].add(fresh) {
		return
	}
	room := max(len(fresh.bytes), min(mostChunk, h.cfg.RingBytes/16))
	h.ring = append(h.ring, &chunk{
		first: fresh.first, last: fresh.last, ends: slices.Clone(fresh.ends),
		bytes: append(make([]byte, 0, room), fresh.bytes...),
	})
	h.bytes += room
	drop := 0
	for ; h.bytes > h.cfg.RingBytes && drop < len(h.ring)-1; drop++ {
		h.bytes -= cap(h.ring[drop].bytes)
		h.floor = h.ring[drop].last
	}
	h.ring = slices.Delete(h.ring, 0, drop)
}

// add adds what follows c to it, if there is room.
func (c *chunk) add(next *chunk) bool {
	end := len(c.bytes)
	if end+len(next.bytes) > cap(c.bytes) || next.first != c.last+1 {
		return false
	}
	c.bytes, c.last = append(c.bytes, next.bytes...), next.last
	for _, e := range next.ends {
		c.ends = append(c.ends, end+e)
	}
	return true
}

// join counts a reader and gives it a group.
func (h *hub) join() (group int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers++
	h.joined++
	return h.joined % groups
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
