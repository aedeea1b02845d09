package natsapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/messages"
)

const (
	// A pass takes as many rows as hold about this many events: enough to make
	// a backlog drain fast, little enough to hold in memory.
	eventsAPass         = 2000
	firstRows, mostRows = 32, 1024
	inFlight            = 256 // events that wait for their acknowledgement
	ackWithin           = 3 * time.Second
	// sendWithin is for how long what was read from the outbox is sent. What is left
	// then is read again: meanwhile others may have published it and cleared it, so
	// long ago that the stream does not know it any more ([DefaultDuplicates]).
	sendWithin           = 3 * time.Second
	headerRoom           = 512 // bytes of a message beside its data
	reasonSize, reasonNo = "too_large", "not_encodable"
)

// pass publishes the oldest rows of the outbox, and settles those of which every
// event was acknowledged, if it is time. It reports whether there are more to be had
// at once.
func (p *Publisher) pass(ctx context.Context) (more bool, err error) {
	if p.due() { // before anything else is read: rows that cannot be settled must not grow
		if err := p.settle(ctx); err != nil {
			return false, err
		}
	}
	if !p.ensured {
		if err := p.ensure(ctx); err != nil {
			return false, err
		}
	}
	began := p.now()
	rows, until, err := p.rowsToSend(ctx)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	p.forgetOthers(rows)
	p.plan.prepare(rows, p.acked)
	defer p.plan.forget()
	late, perr := p.publish(ctx, until)
	met := errors.Is(perr, errMet)
	if perr != nil && !met {
		p.ensured = false // the stream may be what is missing
	}
	p.hold(rows)
	var cerr error
	if p.due() {
		cerr = p.settle(ctx)
	}
	if met && cerr != nil {
		perr = nil // a failure is a failure, whomever this one met
	}
	if err := errors.Join(perr, cerr); err != nil {
		return false, err
	}
	more = late || len(rows) == p.limit
	p.adapt(rows)
	p.metrics.pass.Observe(p.now().Sub(began).Seconds())
	return more, nil
}

func (p *Publisher) ensure(ctx context.Context) error {
	if up, _ := p.link.state(); !up {
		return nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	if err := ensureStream(ctx, p.js, p.stream, p.log); err != nil {
		return err
	}
	p.ensured = true
	return nil
}

// rowsToSend reads the outbox, and finds out who keeps what is sent of it, until when. Where
// there is nothing to send nobody is looked for: a publisher that is idle waits for no server.
func (p *Publisher) rowsToSend(ctx context.Context) (rows []messages.OutboxRow, until time.Time, err error) {
	rows, err = p.rows(ctx)
	until = p.now().Add(sendWithin)
	if err != nil || len(rows) == 0 {
		return nil, until, err
	}
	again, err := p.meetKeepers(ctx)
	if err != nil {
		p.ensured = false
		return nil, until, err
	}
	if again { // what was held is older than what was read
		rows, err = p.rows(ctx)
		until = p.now().Add(sendWithin)
	}
	return rows, until, err
}

func (p *Publisher) rows(ctx context.Context) ([]messages.OutboxRow, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err := p.outbox.OutboxRows(ctx, idsOf(p.held), p.limit)
	if err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", err)
	}
	return rows, nil
}

// forgetOthers drops what is remembered of rows that are not there any more.
func (p *Publisher) forgetOthers(rows []messages.OutboxRow) {
	if len(p.acked) == 0 {
		return
	}
	kept := map[string]bool{}
	for _, row := range rows {
		for i := range row.Events {
			if id := eventID(&row.Events[i]); p.acked[id] {
				kept[id] = true
			}
		}
	}
	p.acked = kept
}

// send publishes an event, reduced if it must be.
func (p *Publisher) send(s *step) error {
	p.own.sends(s.id, s.event)
	msg, err := p.sender.encoder.encode(s.event, "")
	switch {
	case err != nil:
		return p.sendReduced(s, reasonNo, err)
	case int64(len(msg.Data)+headerRoom) > p.largest():
		return p.sendReduced(s, reasonSize, nats.ErrMaxPayload)
	}
	return p.transmit(s, msg)
}

func (p *Publisher) sendReduced(s *step, reason string, cause error) error {
	p.own.take(s.id) // a reader is told what the stream says
	p.metrics.reduced.Inc()
	p.log.Error("an event is published without names and texts", "event", s.id, "reason", reason, "error", cause)
	msg, err := p.sender.encoder.encode(s.event, reason)
	if err != nil {
		return err
	}
	return p.transmit(s, msg)
}

func (p *Publisher) transmit(s *step, msg *nats.Msg) error {
	if err := p.sender.send(msg, &s.receipt); err != nil {
		return fmt.Errorf("publishing an event: %w", err)
	}
	return nil
}

// await waits for the acknowledgement of one event.
func (p *Publisher) await(ctx context.Context, s *step, lost <-chan struct{}) error {
	err := p.sender.wait(ctx, &s.receipt, lost)
	if errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
		// Only the stream knows its limit. Nothing later of the client was sent.
		if err = p.sendReduced(s, reasonSize, err); err == nil {
			err = p.sender.wait(ctx, &s.receipt, lost)
		}
	}
	if err != nil {
		return fmt.Errorf("publishing event %s: %w", s.id, err)
	}
	s.acked = true
	p.echo.published(s.event)
	p.metrics.acked(string(s.event.Type), s.event.At, s.duplicate)
	return nil
}

// adapt takes more rows next time if these held few events, fewer if many.
func (p *Publisher) adapt(rows []messages.OutboxRow) {
	events := 0
	for _, row := range rows {
		events += len(row.Events)
	}
	switch {
	case events > eventsAPass:
		p.limit = max(1, p.limit/2)
	case len(rows) == p.limit && events < eventsAPass/2:
		p.limit = min(mostRows, p.limit*2)
	}
}
