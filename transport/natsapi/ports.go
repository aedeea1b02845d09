package natsapi

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Outbox is the store as the publisher needs it. Implementations are safe for
// concurrent use, by other processes as well.
type Outbox interface {
	// OutboxRows returns at most limit rows, in the order of their ids, without
	// those in except. A row that is returned has no earlier row of the same client
	// still to come. One that cannot be read as a whole says so.
	OutboxRows(ctx context.Context, except []int64, limit int) ([]messages.OutboxRow, error)
	// ClearOutbox removes rows that were published. Idempotent.
	ClearOutbox(ctx context.Context, ids []int64) error
	// SetOutboxAside keeps a row that cannot be read elsewhere. Idempotent.
	SetOutboxAside(ctx context.Context, id int64, reason string) error
	// OutboxBacklog returns how many rows there are, and when the oldest was
	// written (zero: there is none).
	OutboxBacklog(ctx context.Context) (rows int, oldest time.Time, err error)
}
