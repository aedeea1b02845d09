package natsapi

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/messages"
)

// step is an event on its way to the stream, in the plan of a pass.
type step struct {
	event *messages.Event // of a row, and not to be changed
	id    string
	row   int      // which of the pass
	waits int      // for how many events before it
	then  [2]*step // which wait for this one: the next of its client, the next of its user
	acked bool     // the event is on the stream
	receipt
}

// plan is what a pass is to send. It belongs to the publisher's goroutine, and its
// memory is used again by the next pass: receipts of one pass are of no use to another,
// because a pass ends when each is settled or the sender has let go of all.
type plan struct {
	steps []step              // of the events that were not acknowledged yet, in the order of the rows
	order []*step             // of these, the ones that wait for no other, in the order in which they are sent
	last  map[uuid.UUID]*step // the last one so far by client and by user
}

// mostKept is how many steps a plan keeps the memory of. More come with rows of very many
// events alone.
const mostKept = 2 * eventsAPass

// prepare plans the events of rows, but for those that were acknowledged. An event waits for
// the one before it of its client, which is the order that is promised, and for the one
// before it of its user: a reader who follows users then seldom sees somebody on two
// calls. So a backlog of few clients is not sent an event at a time, and one of many goes
// out side by side.
func (l *plan) prepare(rows []messages.OutboxRow, acked map[string]bool) {
	l.forget()
	events := 0
	for _, row := range rows {
		events += len(row.Events)
	}
	if cap(l.steps) < events { // never in between: others point to them
		l.steps, l.order = make([]step, 0, events), make([]*step, 0, events)
	}
	if l.last == nil {
		l.last = make(map[uuid.UUID]*step, 2*events)
	}
	for i, row := range rows {
		for k := range row.Events {
			e := &row.Events[k]
			if id := eventID(e); !acked[id] {
				l.steps = append(l.steps, step{event: e, id: id, row: i})
				l.wait(&l.steps[len(l.steps)-1])
			}
		}
	}
}

// wait has a step wait for those before it.
func (l *plan) wait(s *step) {
	client, user := whom(s.event)
	for _, whose := range [...]uuid.UUID{client.UUID, user.UUID} {
		if before := l.last[whose]; before != nil && before != s {
			if before.then[0] == nil {
				before.then[0] = s
			} else {
				before.then[1] = s
			}
			s.waits++
		}
		l.last[whose] = s
	}
	if s.waits == 0 {
		l.order = append(l.order, s)
	}
}

// release lets those go that waited for an event.
func (l *plan) release(s *step) {
	for _, next := range s.then {
		if next == nil {
			continue
		}
		if next.waits--; next.waits == 0 {
			l.order = append(l.order, next)
		}
	}
}

// forget lets go of the events, and of memory that is not needed every time.
func (l *plan) forget() {
	if cap(l.steps) > mostKept {
		*l = plan{}
		return
	}
	clear(l.steps)
	clear(l.order)
	clear(l.last)
	l.steps, l.order = l.steps[:0], l.order[:0]
}

// publish sends what is planned, and collects the acknowledgements. After the first
// failure nothing more is sent, and nothing from a certain time on: late says that some
// were left then. What waits for an event that another node is publishing is left, and
// errMet says so.
func (p *Publisher) publish(ctx context.Context, until time.Time) (late bool, err error) {
	up, lost := p.link.state()
	if !up {
		return false, nats.ErrDisconnected
	}
	l, met := &p.plan, error(nil)
	sent, settled := 0, 0 // of l.order; what is in between is in flight
	for settled < len(l.order) {
		flying := l.order[settled:sent]
		if sent < len(l.order) && !p.now().Before(until) {
			return true, p.awaitAll(ctx, flying, lost)
		}
		if sent < len(l.order) && len(flying) < inFlight && (len(flying) == 0 || !flying[0].settled) {
			if err := p.send(l.order[sent]); err != nil {
				return false, errors.Join(err, p.awaitAll(ctx, flying, lost))
			}
			sent++
			continue
		}
		settled++
		switch err := p.await(ctx, flying[0], lost); {
		case takenAlready(err):
			met = errMet
		case err != nil:
			return false, errors.Join(err, p.awaitAll(ctx, flying[1:], lost))
		default:
			l.release(flying[0])
		}
	}
	return false, met
}

// awaitAll waits for what is still on its way, and returns the first failure.
func (p *Publisher) awaitAll(ctx context.Context, flying []*step, lost <-chan struct{}) (first error) {
	for _, s := range flying {
		if err := p.await(ctx, s, lost); err != nil && first == nil && !takenAlready(err) {
			first = err
		}
	}
	return first
}
