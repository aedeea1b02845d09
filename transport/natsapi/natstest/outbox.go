package natstest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Outbox is an outbox in memory. Its hooks are set before it is used; each may
// be nil.
type Outbox struct {
	// OnRead is called before rows are returned; an error is returned instead.
	OnRead func() error
	// OnClear is called before rows are removed; after an error they stay.
	OnClear func(ids []int64) error
	// OnAside is called before a row is set aside; after an error it stays.
	OnAside func(id int64) error

	mu   sync.Mutex
	next int64
	rows []row

	aside []int64 // ids of the rows that were set aside
}

type row struct {
	messages.OutboxRow
	at time.Time
}

// Add commits a row of events, written at the time of the first of them.
func (o *Outbox) Add(events ...messages.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.next++
	r := row{OutboxRow: messages.OutboxRow{ID: o.next, Events: events}}
	if len(events) > 0 {
		r.at = events[0].At
	}
	o.rows = append(o.rows, r)
}

// Spoil makes the row that was added last one that cannot be read as a whole.
func (o *Outbox) Spoil(why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rows[len(o.rows)-1].Unreadable = why
}

// Aside are the ids of the rows that were set aside.
func (o *Outbox) Aside() []int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.aside)
}

// Len is how many rows there are.
func (o *Outbox) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.rows)
}

// OutboxRows implements natsapi.Outbox.
func (o *Outbox) OutboxRows(ctx context.Context, except []int64, limit int) ([]messages.OutboxRow, error) {
	if o.OnRead != nil {
		if err := o.OnRead(); err != nil {
			return nil, err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var rows []messages.OutboxRow
	for _, r := range o.rows {
		if len(rows) == limit {
			break
		}
		if !slices.Contains(except, r.ID) {
			rows = append(rows, r.OutboxRow)
		}
	}
	return rows, ctx.Err()
}

// ClearOutbox implements natsapi.Outbox.
func (o *Outbox) ClearOutbox(ctx context.Context, ids []int64) error {
	if o.OnClear != nil {
		if err := o.OnClear(ids); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	gone := make(map[int64]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
	}
	o.rows = slices.DeleteFunc(o.rows, func(r row) bool { return gone[r.ID] })
	return nil
}

// SetOutboxAside implements natsapi.Outbox.
func (o *Outbox) SetOutboxAside(ctx context.Context, id int64, _ string) error {
	if o.OnAside != nil {
		if err := o.OnAside(id); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.rows {
		if o.rows[i].ID == id {
			o.rows, o.aside = slices.Delete(o.rows, i, i+1), append(o.aside, id)
			break
		}
	}
	return ctx.Err()
}

// OutboxBacklog implements natsapi.Outbox.
func (o *Outbox) OutboxBacklog(ctx context.Context) (rows int, oldest time.Time, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.rows) == 0 {
		return 0, time.Time{}, ctx.Err()
	}
	return len(o.rows), o.rows[0].at, ctx.Err()
}
