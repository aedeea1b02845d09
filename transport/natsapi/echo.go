package natsapi

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"

	"github.com/dibs-calls/dibs/live"
	"github.com/dibs-calls/dibs/messages"
)

// echo is the feed of a node that has its store and its NATS for itself: what can be
// heard is what its own publisher says. It is told so directly, instead of reading from
// the stream what it wrote there; that reading was a fifth of all that the process did
// for a call.
//
// Its offsets count what was told in this process.
type echo struct {
	link  *link
	log   *slog.Logger
	epoch string

	mu sync.Mutex // held while to is called, which takes one caller at a time
	to live.Sink  // nil: nobody listens
	at uint64
}

var _ live.Feed = (*echo)(nil)

func newEcho(l *link, log *slog.Logger) *echo { return &echo{link: l, log: log, epoch: rand.Text()} }

// published says that an event is on the stream: again, perhaps, and in the order of
// the stream for each client. It does nothing to nil.
func (e *echo) published(event *messages.Event) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at++
	if e.to != nil {
		e.to.Apply(live.Offset{Epoch: e.epoch, Seq: e.at}, *event)
	}
}

// Run implements [live.Feed]. What cannot be published is not heard, either.
func (e *echo) Run(ctx context.Context, to live.Sink) error {
	e.attach(to)
	defer e.attach(nil)
	for {
		up, changed := e.link.state()
		e.stale(to, !up)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (e *echo) attach(to live.Sink) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.to = to
	if at := (live.Offset{Epoch: e.epoch, Seq: e.at}); to != nil && to.Position() != at {
		to.Reset(at)
	}
}

func (e *echo) stale(to live.Sink, stale bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	to.Stale(stale)
	e.log.Debug("the publisher's events", "heard", !stale)
}
