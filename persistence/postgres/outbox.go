package postgres

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const insertEvents = `INSERT INTO outbox (events) SELECT events FROM unnest($1::bytea[]) AS b (events)`

// rowLimit is how many bytes of events a row takes at most, unless a single event
// is larger: so a row fits into a page, and nothing is moved out of the table in
// pieces of 2 kB, which costs more than all else that is done for an event.
const rowLimit = 8000

// queueEvents writes the batch's rows of the outbox together with the commit.
//
// The order of a client's events is the order of the ids, because an id is
// drawn here, after the claims and releases of the batch have been carried out:
// a call is ended by a transaction that saw its claim, which was committed by
// then, and a client is claimed again by one that its unique index made wait
// until the end of the call before was committed. So the earlier row had its id,
// and was there to be read, before the later one drew its own. The primary key
// of claims makes it true of a user's events as well. (The sequence hands out ids
// one by one, and must not be made to cache some per connection.)
func (b *batch) queueEvents() {
	if rows := persistence.EncodeEvents(b.outcomes, rowLimit); rows != nil {
		b.last.Queue(insertEvents, rows)
	}
}

// OutboxRows implements [persistence.Outbox].
func (s *Store) OutboxRows(ctx context.Context, except []int64, limit int) ([]messages.OutboxRow, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	if except == nil {
		except = []int64{} // nothing differs from all of NULL
	}
	rows, err := s.engine.Query(ctx, `SELECT id, events FROM outbox WHERE id <> ALL ($1) ORDER BY id LIMIT $2`, except, limit)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	var (
		found  []messages.OutboxRow
		row    messages.OutboxRow
		events pgtype.DriverBytes // the connection's; what is decoded is copied out of it
	)
	_, err = pgx.ForEachRow(rows, []any{&row.ID, &events}, func() error {
		row.Events, row.Unreadable = persistence.DecodeEvents(events)
		found = append(found, row)
		return nil
	})
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	return found, nil
}

// SetOutboxAside implements [persistence.Outbox].
func (s *Store) SetOutboxAside(ctx context.Context, id int64, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	_, err := s.engine.Exec(ctx, `
WITH gone AS (DELETE FROM outbox WHERE id = $1 RETURNING id, written_at, events)
INSERT INTO outbox_unreadable (id, written_at, events, reason) SELECT id, written_at, events, $2 FROM gone`, id, reason)
	return wrap(s.broken(err))
}

// ClearOutbox implements [persistence.Outbox]. It does not wait for the disk: a
// row that a crash brings back is published again, under the same event ids.
func (s *Store) ClearOutbox(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	return s.inOutbox(ctx, func(b *pgx.Batch) { b.Queue(`DELETE FROM outbox WHERE id = ANY ($1)`, ids) })
}

// inOutbox sends a statement that removes rows, in a transaction that does not wait for the
// disk.
func (s *Store) inOutbox(ctx context.Context, queue func(*pgx.Batch)) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	b := &pgx.Batch{}
	for _, sql := range []string{"BEGIN", "SET LOCAL synchronous_commit = off"} {
		b.Queue(sql)
	}
	queue(b)
	b.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return errRolledBack
		}
		return nil
	})
	return wrap(s.broken(s.engine.SendBatch(ctx, b).Close()))
}

// OutboxBacklog implements [persistence.Outbox].
func (s *Store) OutboxBacklog(ctx context.Context) (rows int, oldest time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	var since *time.Time
	err = s.lists.QueryRow(ctx, `
SELECT (SELECT count(*) FROM outbox), (SELECT written_at FROM outbox ORDER BY id LIMIT 1)`).Scan(&rows, &since)
	if err != nil {
		return 0, time.Time{}, wrap(s.broken(err))
	}
	if since != nil {
		oldest = since.UTC()
	}
	return rows, oldest, nil
}

// OutboxSize implements [persistence.Outbox]. A row whose transaction ends only after one with
// a higher id was measured is not measured.
func (s *Store) OutboxSize(ctx context.Context, after int64, limit int) (part persistence.OutboxPart, last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	err = s.lists.QueryRow(ctx, `
SELECT count(*), coalesce(sum(size), 0), coalesce(max(id), $1)
FROM (SELECT id, octet_length(events) AS size FROM outbox WHERE id > $1 ORDER BY id LIMIT $2) AS next`, after, limit).Scan(&part.Rows, &part.Bytes, &last)
	return part, last, wrap(s.broken(err))
}

const trimOutbox = `
WITH oldest AS (
    SELECT id, written_at, octet_length(events) AS size FROM outbox ORDER BY id LIMIT $3
), summed AS (
    SELECT id, written_at, size, sum(size) OVER (ORDER BY id) - size AS before FROM oldest
), gone AS (
    DELETE FROM outbox USING summed
    WHERE outbox.id = summed.id AND summed.before < $4
      AND (summed.written_at <= statement_timestamp() - $1::interval OR summed.before < $2)
    RETURNING summed.size
)
SELECT count(*), coalesce(sum(size), 0) FROM gone`

// TrimOutbox implements [persistence.Outbox]. Like ClearOutbox it does not wait for the disk.
func (s *Store) TrimOutbox(ctx context.Context, age time.Duration, excess int64, limit int) (gone persistence.OutboxPart, err error) {
	err = s.inOutbox(ctx, func(b *pgx.Batch) {
		b.Queue(trimOutbox, age, excess, limit, persistence.TrimBytes).QueryRow(func(row pgx.Row) error { return row.Scan(&gone.Rows, &gone.Bytes) })
	})
	if err != nil {
		return persistence.OutboxPart{}, err
	}
	return gone, nil
}
