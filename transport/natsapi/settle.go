package natsapi

import (
	"context"
	"fmt"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// mostHeld is how many rows may wait to be settled. Each reading of the outbox has to
// leave them out.
const mostHeld = 128

// hold keeps the rows of which every event is on the stream, until they are settled. A
// row behind one that failed may be among them: its events depend on nothing of the
// other row, or they would not have been sent.
func (p *Publisher) hold(rows []messages.OutboxRow) {
	for _, row := range rows {
		if !p.complete(row) {
			continue
		}
		p.held = append(p.held, row)
		for _, e := range row.Events {
			delete(p.acked, eventID(e))
		}
	}
}

func (p *Publisher) complete(row messages.OutboxRow) bool {
	for _, e := range row.Events {
		if !p.acked[eventID(e)] {
			return false
		}
	}
	return true
}

// due reports whether it is time to settle.
func (p *Publisher) due() bool {
	return len(p.held) > 0 && (len(p.held) >= mostHeld || p.untilDue() <= 0)
}

func (p *Publisher) untilDue() time.Duration { return p.timing.settle - time.Since(p.settled) }

// settle makes sure that what was acknowledged is on stable storage, and then removes
// the rows that are held from the outbox, for good.
//
// It is not done for each pass: a flush of a growing file has the file system write its
// own journal as well, and who waits for the database to flush its log, which is
// whoever starts or ends a call, stands in line behind it. Until then the events are
// where they were; a crash has them published again, as duplicates. Where several nodes
// publish from one outbox each row is settled at once, for it is there for all of them
// to publish until then.
func (p *Publisher) settle(ctx context.Context) error {
	if len(p.held) == 0 {
		return nil
	}
	if err := p.durable(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var readable []messages.OutboxRow
	for _, row := range p.held {
		if row.Unreadable != nil {
			continue
		}
		if len(row.Events) == 0 {
			p.log.Error("a row of the outbox holds no events and is removed", "row", row.ID)
		}
		readable = append(readable, row)
	}
	if err := p.outbox.ClearOutbox(ctx, idsOf(readable)); err != nil {
		return fmt.Errorf("clearing the outbox: %w", err)
	}
	if err := p.setAside(ctx, p.held); err != nil {
		return err
	}
	clear(p.held) // lets go of the events
	p.held, p.settled = p.held[:0], time.Now()
	return nil
}

func idsOf(rows []messages.OutboxRow) []int64 {
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return ids
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
