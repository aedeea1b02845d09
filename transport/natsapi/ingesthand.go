package natsapi

import (
	"context"
	"sync"

	"github.com/dibs-calls/dibs/messages"
)

// hand is the events that a node has in hand: a bounded number, and those of one
// user in a line.
type hand struct {
	room chan struct{} // holds a token for every event that there is room for
	work sync.WaitGroup

	mu    sync.Mutex
	held  map[*event]struct{}          // guarded by mu
	lines map[messages.UserID][]*event // guarded by mu; of users who are being worked for: those behind
}

func newHand(size int) *hand {
	h := &hand{room: make(chan struct{}, size), held: map[*event]struct{}{}, lines: map[messages.UserID][]*event{}}
	for range size {
		h.room <- struct{}{}
	}
	return h
}

// take makes room for 1 to most events; 0 when it is time to stop.
func (h *hand) take(ctx context.Context, stopping <-chan struct{}, most int) int {
	select {
	case <-h.room:
	case <-stopping:
		return 0
	case <-ctx.Done():
		return 0
	}
	n := 1
	for n < most {
		select {
		case <-h.room:
			n++
		default:
			return n
		}
	}
	return n
}

func (h *hand) giveBack(n int) {
	for range n {
		h.room <- struct{}{}
	}
}

// add notes an event that was taken.
func (h *hand) add(e *event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held[e] = struct{}{}
}

// remove makes room again.
func (h *hand) remove(e *event) {
	h.mu.Lock()
	delete(h.held, e)
	h.mu.Unlock()
	h.giveBack(1)
}

func (h *hand) each(f func(*event)) {
	h.mu.Lock()
	all := make([]*event, 0, len(h.held))
	for e := range h.held {
		all = append(all, e)
	}
	h.mu.Unlock()
	for _, e := range all {
		f(e)
	}
}

// inLine has work called for the events of each user one after the other.
func (h *hand) inLine(e *event, work func(*event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line, busy := h.lines[e.user]
	if busy {
		h.lines[e.user] = append(line, e)
		return
	}
	h.lines[e.user] = nil
	user := e.user
	h.work.Go(func() {
		for ; e != nil; e = h.next(user) {
			work(e)
		}
	})
}

// next returns the user's next event; nil ends the line.
func (h *hand) next(user messages.UserID) *event {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := h.lines[user]
	if len(line) == 0 {
		delete(h.lines, user)
		return nil
	}
	h.lines[user] = line[1:]
	return line[0]
}

// aside has work called on its own.
func (h *hand) aside(work func()) { h.work.Go(work) }

// wait returns when nothing is being worked on. Nothing may be begun meanwhile.
func (h *hand) wait() { h.work.Wait() }
