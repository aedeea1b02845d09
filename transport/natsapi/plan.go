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
	event messages.Event
	id    string
	waits int     // for how many events before it
	then  []*step // which wait for this one
	receipt
}

// plan makes steps of the events that were not acknowledged yet, and returns
// those that wait for no other, in the order of the rows. An event waits for the
// one before it of its client, which is the order that is promised, and for the
// one before it of its user: a reader who follows users then seldom sees somebody
// on two calls. So a backlog of few clients is not sent an event at a time, and
// one of many goes out side by side.
func (p *Publisher) plan(rows []messages.OutboxRow) (ready []*step) {
	last := map[uuid.UUID]*step{} // by client and by user
	for _, row := range rows {
		for _, e := range row.Events {
			id := eventID(e)
			if p.acked[id] {
				continue
			}
			s := &step{event: e, id: id}
			client, user := whom(e)
			for _, whose := range [...]uuid.UUID{client.UUID, user.UUID} {
				if before := last[whose]; before != nil && before != s {
					before.then = append(before.then, s)
					s.waits++
				}
				last[whose] = s
			}
			if s.waits == 0 {
				ready = append(ready, s)
			}
		}
	}
	return ready
}

// publish sends the events of rows as [Publisher.plan] has it, and collects
// their acknowledgements in p.acked. After the first failure nothing more is
// sent, and nothing from a certain time on: late says that some were left then.
// What waits for an event that another node is publishing is left, and errMet says so.
func (p *Publisher) publish(ctx context.Context, rows []messages.OutboxRow, until time.Time) (late bool, err error) {
	up, lost := p.link.state()
	if !up {
		return false, nats.ErrDisconnected
	}
	ready, met := p.plan(rows), error(nil)
	var flying []*step // sent and not acknowledged, the oldest first
	for len(ready) > 0 || len(flying) > 0 {
		if len(ready) > 0 && !p.now().Before(until) {
			return true, p.awaitAll(ctx, flying, lost)
		}
		if len(ready) > 0 && len(flying) < inFlight && (len(flying) == 0 || !flying[0].settled) {
			s := ready[0]
			ready = ready[1:]
			if err := p.send(s); err != nil {
				return false, errors.Join(err, p.awaitAll(ctx, flying, lost))
			}
			flying = append(flying, s)
			continue
		}
		s := flying[0]
		flying = flying[1:]
		switch err := p.await(ctx, s, lost); {
		case takenAlready(err):
			met = errMet
			continue
		case err != nil:
			return false, errors.Join(err, p.awaitAll(ctx, flying, lost))
		}
		for _, next := range s.then {
			if next.waits--; next.waits == 0 {
				ready = append(ready, next)
			}
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
