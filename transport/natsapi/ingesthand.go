package natsapi

import (
	"context"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// hand is the events that a node has in hand: a bounded number, and those of one
// user in a line. A line is short, so that no user fills the hand, however many
// events they have and however long one of them takes. What finds no place in its
// line goes back to the stream, and comes again in its order ([away]).
//
// Of one client, too, an event waits for those that came earlier, whoever's they are:
// else a call would be refused because of one that has just ended. But not for long,
// so that no user holds up others. Events wait only for earlier ones, so no two of
// them for each other.
type hand struct {
	room chan struct{} // holds a token for every event that there is room for
	work sync.WaitGroup

	mu    sync.Mutex
	held  map[*event]struct{}          // guarded by mu
	lines map[messages.UserID][]*event // guarded by mu; of users who are being worked for: those behind
	last  map[messages.ClientID]*event // guarded by mu; of each client, among those in hand that stand in line
	away  *away                        // guarded by mu
}

const (
	// lineMost is how many events of one user wait behind the one that is worked
	// on.
	lineMost = 32
	// clientWait is how long an event waits for another user's event of its client.
	clientWait = time.Second
)

func newHand(size int) *hand {
	h := &hand{
		room: make(chan struct{}, size), held: map[*event]struct{}{},
		lines: map[messages.UserID][]*event{}, last: map[messages.ClientID]*event{}, away: newAway(),
	}
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

// done makes room again, for an event that nobody has to wait for.
func (h *hand) done(e *event) {
	h.mu.Lock()
	h.away.forget(e.user, e.meta.Sequence.Stream) // a delivery of it may have gone back
	h.mu.Unlock()
	h.remove(e)
}

// remove makes room again.
func (h *hand) remove(e *event) {
	h.mu.Lock()
	delete(h.held, e)
	if e.gone != nil {
		close(e.gone)
		if h.last[e.client] == e {
			delete(h.last, e.client)
		}
	}
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

// inLine has work called for the events of each user one after the other, until
// it returns false: then ceased is called, which has to leave the line. It reports false
// if there is no place in the line: it is full, or an earlier event of the user is to
// come again. Then the event is to go back, and to come again after so long. (So a user
// with more than a line, and always something new, is a moment behind.)
func (h *hand) inLine(e *event, from origin, now time.Time, work func(*event) bool, ceased func()) (after time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	user := e.user
	line, busy := h.lines[user]
	if after, ok = h.away.place(user, e.meta.Sequence.Stream, from, len(line) < lineMost, now); !ok {
		return after, false
	}
	h.behindClient(e)
	if busy {
		h.lines[user] = append(line, e)
		return 0, true
	}
	h.lines[user] = nil
	h.work.Go(func() {
		for ; e != nil; e = h.next(user) {
			e.awaitClient()
			if work(e) {
				continue
			}
			ceased()
			return
		}
	})
	return 0, true
}

// behindClient notes which event of its client an event comes behind. It is called
// with mu held.
func (h *hand) behindClient(e *event) {
	if e.client.IsZero() {
		return
	}
	if before := h.last[e.client]; before != nil && before.user != e.user {
		e.after = before.gone
	}
	e.gone = make(chan struct{})
	h.last[e.client] = e
}

// awaitClient waits until the event of its client before this one is out of hand, or
// it has taken too long.
func (e *event) awaitClient() {
	if e.after == nil {
		return
	}
	timer := time.NewTimer(clientWait)
	defer timer.Stop()
	select {
	case <-e.after:
	case <-timer.C:
	}
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

// leave ends the user's line. Those who stood in it are to go back, and to come again
// after so long.
func (h *hand) leave(user messages.UserID, now time.Time) (line []*event, after []time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line = h.lines[user]
	delete(h.lines, user)
	for _, e := range line { // before anybody else can take their places
		after = append(after, h.away.putBack(user, e.meta.Sequence.Stream, now, backLeast))
	}
	return line, after
}

// putBack says after how long an event is to come again, whose user's next ones are to
// wait for it.
func (h *hand) putBack(e *event, now time.Time, least time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.away.putBack(e.user, e.meta.Sequence.Stream, now, least)
}

// aside has work called on its own.
func (h *hand) aside(work func()) { h.work.Go(work) }

// wait returns when nothing is being worked on. Nothing may be begun meanwhile.
func (h *hand) wait() { h.work.Wait() }
