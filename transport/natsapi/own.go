package natsapi

import (
	"sync"

	"github.com/dibs-calls/dibs/messages"
)

// own remembers the events that this process has sent to the stream most recently, so
// that its feed need not decode them when they come back.
type own struct {
	mu   sync.Mutex
	sent map[string]*messages.Event
	ring []string // ids in the order in which they were sent
	next int      // in ring: the oldest
}

// mostOwn is some seconds of a busy node; a feed that is further behind decodes.
const mostOwn = 4 * inFlight

func newOwn() *own { return &own{sent: map[string]*messages.Event{}, ring: make([]string, mostOwn)} }

// sends notes an event that is about to be sent. It does nothing to nil: nobody
// listens on the stream.
func (o *own) sends(id string, e *messages.Event) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.sent, o.ring[o.next])
	o.ring[o.next] = id
	o.next = (o.next + 1) % len(o.ring)
	o.sent[id] = e
}

// take returns what was sent under that id, once; nil: it was not sent by us, or too
// long ago.
func (o *own) take(id string) *messages.Event {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.sent[id]
	delete(o.sent, id)
	return e
}
