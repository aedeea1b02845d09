package natsapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// mostHeld is how many rows may wait to be settled. Each reading of the outbox has to
// leave them out.
const mostHeld = 128

// asideEvery is the least time between two tries to set rows aside after one failed.
const asideEvery = time.Second

// hold keeps the rows of which every event is on the stream, until they are settled, and
// remembers of the others which events are. A row behind one that failed may be among the
// first: its events depend on nothing of the other row, or they would not have been sent.
func (p *Publisher) hold(rows []messages.OutboxRow) {
	steps := p.plan.steps // those of a row follow each other; one has none if all was acknowledged before
	for i, row := range rows {
		n, complete := 0, true
		for ; n < len(steps) && steps[n].row == i; n++ {
			complete = complete && steps[n].acked
		}
		if complete {
			p.held = append(p.held, row)
			p.forgetRow(row)
		} else {
			p.remember(steps[:n])
		}
		steps = steps[n:]
	}
}

// remember notes what was acknowledged of a row that is published again.
func (p *Publisher) remember(steps []step) {
	for i := range steps {
		if steps[i].acked {
			p.acked[steps[i].id] = true
		}
	}
}

func (p *Publisher) forgetRow(row messages.OutboxRow) {
	if len(p.acked) == 0 {
		return
	}
	for i := range row.Events {
		delete(p.acked, eventID(&row.Events[i]))
	}
}

// due reports whether it is time to settle.
func (p *Publisher) due() bool {
	return len(p.held) > 0 && (len(p.held) >= mostHeld || p.untilDue() <= 0)
}

// untilDue is how long nothing needs to be settled. Rows that cannot be set aside are
// tried again now and then, and are no reason to hurry.
func (p *Publisher) untilDue() time.Duration {
	due := p.timing.settle - time.Since(p.settled)
	if p.asideErr != nil && !slices.ContainsFunc(p.held, func(row messages.OutboxRow) bool { return row.Unreadable == nil }) {
		due = max(due, asideEvery-time.Since(p.asideTried))
	}
	return due
}

// settle makes sure that what was acknowledged is on stable storage, and then removes
// the rows that are held from the outbox, for good.
//
// It is not done for each pass: a flush of a growing file has the file system write its
// own journal as well, and who waits for the database to flush its log, which is
// whoever starts or ends a call, stands in line behind it. Until then the events are
// where they were; a crash has them published again, as duplicates. Where several nodes
// publish from one outbox each row is settled at once, for it is there for all of them
// to publish until then.
//
// A row that cannot be set aside is no error of it until there are too many to hold.
func (p *Publisher) settle(ctx context.Context) error {
	if len(p.held) == 0 {
		return nil
	}
	if err := p.durable(); err != nil {
		return err
	}
	if err := p.kept.flush(ctx); err != nil {
		p.sendAgain()
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var readable, others []messages.OutboxRow
	for _, row := range p.held {
		if row.Unreadable != nil {
			others = append(others, row)
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
	p.held, p.settled = others, time.Now()
	p.setAside(ctx)
	if len(p.held) >= mostHeld {
		return p.asideErr
	}
	return nil
}

// meetKeepers finds out who answers for what is sent from now on. What others answered for
// and is not settled is sent again, all of a row being settled by the same: then the outbox
// has to be read again.
func (p *Publisher) meetKeepers(ctx context.Context) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ackWithin)
	defer cancel()
	kept, err := p.keepers.before(ctx)
	if err != nil {
		return false, err
	}
	if again = !kept.same(p.kept); again {
		p.sendAgain()
	}
	p.kept = kept
	return again, nil
}

// sendAgain has everything that is not settled read and sent once more. What the stream has
// is a duplicate then.
func (p *Publisher) sendAgain() {
	p.held = nil
	clear(p.acked)
}

func idsOf(rows []messages.OutboxRow) []int64 {
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return ids
}

// setAside takes the rows out of the way that could not be read, all that are held. What
// could be read of them is on the stream. One that cannot be set aside is still held,
// asideErr says why, and no other row waits for it.
func (p *Publisher) setAside(ctx context.Context) {
	before := p.asideErr
	if before != nil && time.Since(p.asideTried) < asideEvery {
		return
	}
	p.asideErr, p.asideTried = nil, time.Now()
	var left []messages.OutboxRow
	for _, row := range p.held {
		if err := p.outbox.SetOutboxAside(ctx, row.ID, row.Unreadable.Error()); err != nil {
			p.asideErr = cmp.Or(p.asideErr, fmt.Errorf("setting aside row %d of the outbox, which cannot be read: %w", row.ID, err))
			left = append(left, row)
			continue
		}
		p.metrics.unreadable.Inc()
		p.log.Error("a row of the outbox cannot be read: some of its events are not published; it is kept in the table outbox_unreadable",
			"row", row.ID, "published", len(row.Events), "cause", row.Unreadable)
	}
	p.held = left
	if p.asideErr == nil {
		return
	}
	p.metrics.failures.Inc()
	if before == nil {
		p.log.Error("rows of the outbox that cannot be read stay in it: others are published, and these are tried again", "rows", len(left), "error", p.asideErr)
	}
}
