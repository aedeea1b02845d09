package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
)

var (
	// ErrTooSlow ends a stream whose reader has fallen behind further than
	// frames are kept. It may come back.
	ErrTooSlow = errors.New("live: the reader is too slow")
	// ErrClosed ends all streams when the model stops.
	ErrClosed = errors.New("live: stopped")
)

const (
	// What a browser waits before it comes back, spread so that the readers of
	// a server that was restarted do not come all at once.
	retryLeast  = 1000 // ms
	retrySpread = 2000 // ms
)

// Stream sends live events as text/event-stream to one reader until ctx ends, send
// fails, or the reader is cut off; it returns why. lastEventID is what the reader
// says it saw last: the stream goes on right behind it, or begins with a
// snapshot. send is called with whole frames, from this goroutine; the bytes are
// shared among readers, and not to be written to or kept. Before the first call
// of send, Stream may fail with [messages.CodeUnavailable].
func (m *Model) Stream(ctx context.Context, lastEventID string, send func(frames []byte) error) error {
	if !m.Loaded() {
		return errNotLoaded()
	}
	group := m.hub.join()
	defer m.hub.leave()
	cursor, resumed := m.hub.resume(lastEventID)
	if err := send(m.greeting(resumed)); err != nil {
		return err
	}
	if !resumed {
		var err error
		if cursor, err = m.sendSnapshot(send); err != nil {
			return err
		}
	}
	for {
		next, err := m.hub.after(cursor, group)
		switch {
		case errors.Is(err, errReset):
			cursor, err = m.sendSnapshot(send)
		case errors.Is(err, ErrTooSlow):
			m.metrics.cut.Inc()
		case err != nil:
		case len(next.frames) > 0:
			cursor, err = next.cursor, send(next.frames)
		default:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-next.wake:
			}
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// greeting is what a stream begins with. Who goes on is told whether events may be
// missing, because they may have heard otherwise from another node meanwhile, and
// at once that this is all, if nothing has happened since. It is made after the
// place to go on from was found: what becomes stale later is a frame behind that
// place, so the last that the reader is told is true.
func (m *Model) greeting(resumed bool) []byte {
	b := fmt.Appendf(nil, "retry: %d\n\n", retryLeast+rand.IntN(retrySpread))
	if resumed {
		b = fmt.Appendf(b, "event: %s\ndata: {\"stale\":%t}\n\n", frameStale, m.isStale())
		b = append(b, "event: ping\ndata: {}\n\n"...)
	}
	return b
}

func (m *Model) sendSnapshot(send func([]byte) error) (cursor uint64, err error) {
	s := m.snapshots.get(m)
	defer m.snapshots.giveBack(s)
	m.metrics.snapshots.Inc()
	return s.seq, send(s.frame)
}

// resume finds the place behind the frame that a reader saw last.
func (h *hub) resume(id string) (cursor uint64, ok bool) {
	seq, ok := parseID(h.epoch, id)
	if !ok {
		return 0, false
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return seq, h.canGoOn(seq)
}

// canGoOn needs h.mu.
func (h *hub) canGoOn(cursor uint64) bool {
	return cursor >= h.floor && cursor >= h.resetAt && cursor <= h.last
}

var errReset = errors.New("live: begin anew with a snapshot")

// upcoming is what a reader is to send next, and where it is then; or, if there
// is nothing, what to wait for.
type upcoming struct {
	frames []byte
	cursor uint64
	wake   <-chan struct{}
}

func (h *hub) after(cursor uint64, group int) (upcoming, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	switch {
	case h.closed:
		return upcoming{}, ErrClosed
	case cursor < h.resetAt:
		return upcoming{}, errReset
	case cursor >= h.sealed:
		return upcoming{wake: h.wake[group]}, nil
	case cursor < h.floor:
		return upcoming{}, ErrTooSlow
	}
	i := sort.Search(len(h.ring), func(i int) bool { return h.ring[i].last > cursor })
	c, begin := h.ring[i], 0
	if cursor >= c.first {
		begin = c.ends[cursor-c.first]
	}
	return upcoming{frames: c.bytes[begin:len(c.bytes):len(c.bytes)], cursor: c.last}, nil
}
