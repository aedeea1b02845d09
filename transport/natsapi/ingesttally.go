package natsapi

import (
	"sync"
	"time"
)

// tally counts what events have been through that were put back, until they are
// gone. The server counts deliveries too, but also those that tell nothing of the
// event: of a node that was killed, or that had no place for it. Each node counts
// for itself.
type tally struct {
	mu   sync.Mutex
	most int                  // events
	of   map[eventKey]history // guarded by mu
}

// eventKey names an event. A stream made anew counts from one again, hence the
// time.
type eventKey struct {
	seq uint64
	at  int64
}

type history struct {
	missing  int // tries for which a user or a client was not there
	stuck    int // times in hand without an answer, while others had theirs
	unburied int // letters that could not be written
	last     time.Time
}

const (
	// tallied is how many events that were put back a node keeps apart.
	tallied = 50_000
	// tallyKept is longer than any event waits for its next try: what was not
	// seen for so long is gone, or with another node.
	tallyKept = 2 * deadWaitMost
)

func newTally(most int) *tally { return &tally{most: most, of: map[eventKey]history{}} }

func keyOf(e *event) eventKey { return eventKey{e.meta.Sequence.Stream, e.meta.Timestamp.UnixNano()} }

// note changes the history of an event and returns it. full says that there are
// too many to remember this one.
func (t *tally) note(e *event, now time.Time, change func(*history)) (h history, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := keyOf(e)
	h, known := t.of[key]
	if !known && len(t.of) >= t.most {
		t.prune(now)
		full = len(t.of) >= t.most
	}
	change(&h)
	if h.last = now; !full {
		t.of[key] = h
	}
	return h, full
}

// knows reports whether this node has put the event back.
func (t *tally) knows(e *event) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.of[keyOf(e)]
	return known
}

// prune is called with mu held.
func (t *tally) prune(now time.Time) {
	for key, h := range t.of {
		if now.Sub(h.last) > tallyKept {
			delete(t.of, key)
		}
	}
}

// forget lets go of an event that is gone.
func (t *tally) forget(e *event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, keyOf(e))
}
