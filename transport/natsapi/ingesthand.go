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
// line goes back to the stream, and comes again in its order.
//
// Of one client, too, an event waits for those that came earlier, whoever's they are:
// else a call would be refused because of one that has just ended. But not for long,
// so that no user holds up others. Events wait only for earlier ones, so no two of
// them for each other.
type hand struct {
	room chan struct{} // holds a token for every event that there is room for
	work sync.WaitGroup

	mu    sync.Mutex
	held  map[*event]struct{}           // guarded by mu
	lines map[messages.UserID][]*event  // guarded by mu; of users who are being worked for: those behind
	last  map[messages.ClientID]*event  // guarded by mu; of each client, among those in hand that stand in line
	back  map[messages.UserID]time.Time // guarded by mu; of users whose events went back: when the last of them comes again
}

const (
	// lineMost is how many events of one user wait behind the one that is worked
	// on.
	lineMost = 32
	// Events that found no place come again one behind the other, as fast as a
	// user's events are worked off, at least so much later and at most so much.
	backLeast = 250 * time.Millisecond
	backApart = 5 * time.Millisecond
	backMost  = 10 * time.Minute
	// backLong: those that wait longer come again together with others, up to a
	// line of them: the server looks through all that wait for every moment at
	// which one is due. Then two may change places.
	backLong = 5 * time.Second
	backTick = 125 * time.Millisecond
	// backUsers is when users are looked through for those with nothing to come.
	backUsers = 1024

	// clientWait is how long an event waits for another user's event of its client.
	clientWait = time.Second
)

func newHand(size int) *hand {
	h := &hand{
		room: make(chan struct{}, size), held: map[*event]struct{}{},
		lines: map[messages.UserID][]*event{}, last: map[messages.ClientID]*event{}, back: map[messages.UserID]time.Time{},
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
// it returns false: then rest is called for each of those behind. It reports false
// if there is no place in the line: it is full, or the event comes for the first
// time while earlier ones of its user are yet to come again. (So a user with more
// than a line, and always something new, is a moment behind.)
func (h *hand) inLine(e *event, now time.Time, work func(*event) bool, rest func(*event)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	user := e.user
	if e.meta.NumDelivered == 1 && now.Before(h.back[user].Add(2*backTick)) {
		return false
	}
	line, busy := h.lines[user]
	if len(line) >= lineMost {
		return false
	}
	h.behindClient(e)
	if busy {
		h.lines[user] = append(line, e)
		return true
	}
	h.lines[user] = nil
	h.work.Go(func() {
		for ; e != nil; e = h.next(user) {
			e.awaitClient()
			if work(e) {
				continue
			}
			for _, behind := range h.leave(user) {
				rest(behind)
			}
			return
		}
	})
	return true
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

// leave ends the user's line, and returns those who stood in it.
func (h *hand) leave(user messages.UserID) []*event {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := h.lines[user]
	delete(h.lines, user)
	return line
}

// behind says after how long an event of the user's is to come again: not before
// those that went back earlier.
func (h *hand) behind(user messages.UserID, now time.Time, least time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.back) > backUsers {
		for u, at := range h.back {
			if at.Before(now) {
				delete(h.back, u)
			}
		}
	}
	at := now.Add(least)
	if last := h.back[user].Add(backApart); last.After(at) {
		at = last
	}
	if limit := now.Add(backMost); at.After(limit) {
		at = limit
	}
	h.back[user] = at
	if at.Sub(now) > backLong {
		at = at.Truncate(backTick).Add(backTick)
	}
	return at.Sub(now)
}

// aside has work called on its own.
func (h *hand) aside(work func()) { h.work.Go(work) }

// wait returns when nothing is being worked on. Nothing may be begun meanwhile.
func (h *hand) wait() { h.work.Wait() }
