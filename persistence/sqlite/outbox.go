package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// publish writes the batch's row of the outbox. Transactions run one after the
// other, so the order of the rows is that of the commits.
func (x *tx) publish(outcomes []messages.Outcome) error {
	for _, events := range persistence.EncodeEvents(outcomes, 0) {
		if _, err := x.exec(`insert into outbox (written_at, events) values (?1, ?2)`, x.now, events); err != nil {
			return err
		}
	}
	return nil
}

// OutboxRows implements [persistence.Outbox].
func (s *Store) OutboxRows(ctx context.Context, except []int64, limit int) ([]messages.OutboxRow, error) {
	if except == nil {
		except = []int64{} // nothing is known not to be in a list with NULL in it
	}
	var found []messages.OutboxRow
	err := s.query(ctx, `
select seq, events from outbox where seq not in (select value from json_each(?1)) order by seq limit ?2`, []any{list(except), limit}, func(rows *sql.Rows) error {
		var row messages.OutboxRow
		var events []byte
		if err := rows.Scan(&row.ID, &events); err != nil {
			return err
		}
		row.Events, row.Unreadable = persistence.DecodeEvents(events)
		found = append(found, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// ClearOutbox implements [persistence.Outbox].
func (s *Store) ClearOutbox(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	return s.write(ctx, func(x *tx) error {
		_, err := x.exec(`delete from outbox where seq in (select value from json_each(?1))`, list(ids))
		return err
	})
}

// SetOutboxAside implements [persistence.Outbox].
func (s *Store) SetOutboxAside(ctx context.Context, id int64, reason string) error {
	return s.write(ctx, func(x *tx) error {
		if _, err := x.exec(`
insert into outbox_unreadable (seq, written_at, events, reason, set_aside_at)
select seq, written_at, events, ?2, ?3 from outbox where seq = ?1`, id, reason, x.now); err != nil {
			return err
		}
		_, err := x.exec(`delete from outbox where seq = ?1`, id)
		return err
	})
}

// OutboxBacklog implements [persistence.Outbox].
func (s *Store) OutboxBacklog(ctx context.Context) (rows int, oldest time.Time, err error) {
	var since *int64
	_, err = s.row(ctx, `select count(*), (select written_at from outbox order by seq limit 1) from outbox`, nil, &rows, &since)
	if err != nil || since == nil {
		return rows, time.Time{}, err
	}
	return rows, timeOf(*since), nil
}

// OutboxSize implements [persistence.Outbox].
func (s *Store) OutboxSize(ctx context.Context, after int64, limit int) (part persistence.OutboxPart, last int64, err error) {
	_, err = s.row(ctx, `
select count(*), coalesce(sum(size), 0), coalesce(max(seq), ?1)
from (select seq, length(events) as size from outbox where seq > ?1 order by seq limit ?2)`, []any{after, limit}, &part.Rows, &part.Bytes, &last)
	return part, last, err
}

// oldOutbox are the rows that TrimOutbox removes: written by ?1, or among the first ?2 bytes.
const oldOutbox = `
with oldest as (select seq, written_at, length(events) as size from outbox order by seq limit ?3),
summed as (select seq, written_at, size, sum(size) over (order by seq) - size as before from oldest),
old as (select seq, size from summed where before < ?4 and (written_at <= ?1 or before < ?2)) `

// TrimOutbox implements [persistence.Outbox]. Only where there is something to remove others wait
// for it.
func (s *Store) TrimOutbox(ctx context.Context, age time.Duration, excess int64, limit int) (gone persistence.OutboxPart, err error) {
	args := []any{s.clock() - age.Microseconds(), excess, limit, persistence.TrimBytes}
	const size = oldOutbox + `select count(*), coalesce(sum(size), 0) from old`
	if _, err := s.row(ctx, size, args, &gone.Rows, &gone.Bytes); err != nil || gone.Rows == 0 {
		return gone, err
	}
	err = s.write(ctx, func(x *tx) error {
		if _, err := x.get(size, args, &gone.Rows, &gone.Bytes); err != nil {
			return err
		}
		_, err := x.exec(oldOutbox+`delete from outbox where seq in (select seq from old)`, args...)
		return err
	})
	if err != nil {
		return persistence.OutboxPart{}, err
	}
	return gone, nil
}
