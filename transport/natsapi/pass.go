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

// pass publishes the oldest rows of the outbox and clears those of which every
// event was acknowledged. It reports whether there are more to be had at once.
func (p *Publisher) pass(ctx context.Context) (more bool, err error) {
	if !p.ensured {
		if err := p.ensure(ctx); err != nil {
			return false, err
		}
	}
	began := p.now()
	rows, err := p.rows(ctx)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	p.forgetOthers(rows)
	late, perr := p.publish(ctx, rows, p.now().Add(sendWithin))
	met := errors.Is(perr, errMet)
	if perr != nil && !met {
		p.ensured = false // the stream may be what is missing
	}
	cerr := p.clear(ctx, rows)
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

func (p *Publisher) rows(ctx context.Context) ([]messages.OutboxRow, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err := p.outbox.OutboxRows(ctx, p.limit)
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
		for _, e := range row.Events {
			if id := eventID(e); p.acked[id] {
				kept[id] = true
			}
		}
	}
	p.acked = kept
}

// send publishes an event, reduced if it must be.
func (p *Publisher) send(s *step) error {
	msg, err := encode(s.event, "")
	switch {
	case err != nil:
		s.ack, err = p.sendReduced(s.event, reasonNo, err)
	case int64(len(msg.Data)+headerRoom) > p.largest():
		s.ack, err = p.sendReduced(s.event, reasonSize, nats.ErrMaxPayload)
	default:
		s.ack, err = p.transmit(msg)
	}
	return err
}

func (p *Publisher) sendReduced(e messages.Event, reason string, cause error) (jetstream.PubAckFuture, error) {
	p.metrics.reduced.Inc()
	p.log.Error("an event is published without names and texts", "event", eventID(e), "reason", reason, "error", cause)
	msg, err := encode(e, reason)
	if err != nil {
		return nil, err
	}
	return p.transmit(msg)
}

func (p *Publisher) transmit(msg *nats.Msg) (jetstream.PubAckFuture, error) {
	// Not tried again by the client: that would be out of order.
	ack, err := p.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return nil, fmt.Errorf("publishing an event: %w", err)
	}
	return ack, nil
}

// await waits for the acknowledgement of one event.
func (p *Publisher) await(ctx context.Context, s *step) error {
	ack, err := p.ackOf(ctx, s.ack)
	if errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
		ack, err = p.again(ctx, s.event, err)
	}
	if err != nil {
		return fmt.Errorf("publishing event %s: %w", eventID(s.event), err)
	}
	p.acked[eventID(s.event)] = true
	p.metrics.acked(string(s.event.Type), s.event.At, ack.Duplicate)
	return nil
}

// again publishes reduced what the stream finds too large. Nothing later of its
// client was sent.
func (p *Publisher) again(ctx context.Context, e messages.Event, cause error) (*jetstream.PubAck, error) {
	future, err := p.sendReduced(e, reasonSize, cause)
	if err != nil {
		return nil, err
	}
	return p.ackOf(ctx, future)
}

// ackOf waits for one acknowledgement. The client fails it when the connection
// is lost or nothing came for [ackWithin].
func (p *Publisher) ackOf(ctx context.Context, future jetstream.PubAckFuture) (*jetstream.PubAck, error) {
	select {
	case ack := <-future.Ok():
		return ack, nil
	case err := <-future.Err():
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// clear removes the rows of which every event is on the stream, for good. A row
// behind one that failed may be among them: its events depend on nothing of the
// other row, or they would not have been sent.
func (p *Publisher) clear(ctx context.Context, rows []messages.OutboxRow) error {
	var gone []messages.OutboxRow
	var ids []int64
	for _, row := range rows {
		if !p.complete(row) {
			continue
		}
		gone = append(gone, row)
		if row.Unreadable != nil {
			continue
		}
		if len(row.Events) == 0 {
			p.log.Error("a row of the outbox holds no events and is removed", "row", row.ID)
		}
		ids = append(ids, row.ID)
	}
	if len(gone) == 0 {
		return nil
	}
	if err := p.durable(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := p.outbox.ClearOutbox(ctx, ids); err != nil {
		return fmt.Errorf("clearing the outbox: %w", err)
	}
	if err := p.setAside(ctx, gone); err != nil {
		return err
	}
	for _, row := range gone {
		for _, e := range row.Events {
			delete(p.acked, eventID(e))
		}
	}
	return nil
}

// setAside takes the rows out of the way that could not be read. What could be
// read of them is on the stream.
func (p *Publisher) setAside(ctx context.Context, rows []messages.OutboxRow) error {
	for _, row := range rows {
		if row.Unreadable == nil {
			continue
		}
		if err := p.outbox.SetOutboxAside(ctx, row.ID, row.Unreadable.Error()); err != nil {
			return fmt.Errorf("setting aside row %d of the outbox, which cannot be read: %w", row.ID, err)
		}
		p.metrics.unreadable.Inc()
		p.log.Error("a row of the outbox cannot be read: some of its events are not published; it is kept in the table outbox_unreadable",
			"row", row.ID, "published", len(row.Events), "cause", row.Unreadable)
	}
	return nil
}

func (p *Publisher) complete(row messages.OutboxRow) bool {
	for _, e := range row.Events {
		if !p.acked[eventID(e)] {
			return false
		}
	}
	return true
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
