package persistence

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Outbox holds the events of committed batches until they are published, or nobody is
// to be told of them any more. A row
// is written by Journal.Commit in the batch's own transaction: one for a batch that
// started or ended calls, a few where the batch is large. Implementations are safe for concurrent use.
type Outbox interface {
	// OutboxRows returns at most limit rows, in the order of their ids, without
	// those whose ids are in except (some hundred at most): who asks has them. For
	// one client that is the order in which its events were committed, and a row
	// that is returned has no earlier row of the same client still to come, but for
	// those in except. A row of which something cannot be read is no error: it is
	// returned with what can be (OutboxRow.Unreadable), so that it stands in nobody's
	// way.
	OutboxRows(ctx context.Context, except []int64, limit int) ([]messages.OutboxRow, error)
	// ClearOutbox removes rows that were published. Idempotent.
	ClearOutbox(ctx context.Context, ids []int64) error
	// SetOutboxAside takes a row out of the outbox that cannot be read, and keeps
	// it as it was in the table outbox_unreadable, with the reason. Idempotent.
	SetOutboxAside(ctx context.Context, id int64, reason string) error
	// OutboxBacklog returns how many rows there are, and when the oldest was
	// written (zero: there is none).
	OutboxBacklog(ctx context.Context) (rows int, oldest time.Time, err error)
	// OutboxSize measures the next rows behind the one with the id after, at most
	// limit, and returns the id of the last of them as well; where there are none
	// that is after itself.
	OutboxSize(ctx context.Context, after int64, limit int) (part OutboxPart, last int64, err error)
	// TrimOutbox removes rows though they were not published, the oldest first, at
	// most limit, and no more once [TrimBytes] went: those that are older than age, and
	// as many as it takes to be rid of excess bytes of events. It returns what went.
	TrimOutbox(ctx context.Context, age time.Duration, excess int64, limit int) (gone OutboxPart, err error)
}

// TrimBytes of events are enough for a transaction that removes them, so that nobody waits for it.
const TrimBytes = 8 << 20

// OutboxPart is how much some rows of the outbox hold.
type OutboxPart struct {
	Rows  int
	Bytes int64 // of their events
}
