package postgres

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5"
)

// The history has no index by time: each call would pay for it, and the only one
// to use it is this. Calls are written at the end of their table or where old ones
// were removed, so a walk from page to page meets the calls of one time together,
// and what it removes leaves pages that are free as a whole.

// walkPages bounds what one transaction reads: 8 MiB.
const walkPages = 1024

const (
	// holdWalk returns nothing while another process walks.
	holdWalk = `
SELECT coalesce(page, 0), page IS NULL AND coalesce(walked_at > statement_timestamp() - $1::interval, false),
       pg_relation_size('calls') / current_setting('block_size')::bigint
FROM retention FOR UPDATE SKIP LOCKED`
	noteWalk = `UPDATE retention SET page = $1`
	endWalk  = `UPDATE retention SET page = NULL, walked_at = statement_timestamp()`

	// pruneCalls looks at the pages from $1 up to, not including, $2. The newest call
	// of a client is known by the index of tokens; no EXISTS, because that may be
	// carried out by reading all calls into a hash table. It returns how many it
	// removed, how many it emptied, and the last page that it came to if it stopped
	// before the end.
	//
	// Nobody else changes a call that has ended, so a row is where it was seen. One
	// that is not its client's newest never becomes it again (I6).
	pruneCalls = `
WITH old AS MATERIALIZED (
    SELECT at, newer FROM (
        SELECT c.ctid AS at, c.disposition <> '' OR c.notes <> '' AS told,
               coalesce((SELECT true FROM calls n WHERE n.client_id = c.client_id AND n.token > c.token LIMIT 1), false) AS newer
        FROM calls c
        WHERE c.ctid >= format('(%s,0)', $1::bigint)::tid AND c.ctid < format('(%s,0)', $2::bigint)::tid
          AND c.ended_at <= statement_timestamp() - $3::interval OFFSET 0) c
    WHERE newer OR told LIMIT $4
), gone AS (
    DELETE FROM calls WHERE ctid = ANY (ARRAY (SELECT at FROM old WHERE newer)) RETURNING 1
), silenced AS (
    UPDATE calls SET disposition = '', notes = '' WHERE ctid = ANY (ARRAY (SELECT at FROM old WHERE NOT newer)) RETURNING 1
)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM silenced), (SELECT count(*) FROM old) = $4,
       coalesce((SELECT max((at::text::point)[0])::bigint FROM old), 0)`

	pruneLogs = `
DELETE FROM call_logs WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM call_logs WHERE created_at <= statement_timestamp() - $1::interval
      AND (callback_time IS NULL OR callback_time <= statement_timestamp() - $1::interval)
    ORDER BY created_at, id LIMIT $2 FOR UPDATE SKIP LOCKED))`
)

// PruneHistory implements [persistence.Retention].
func (s *Store) PruneHistory(ctx context.Context, age time.Duration, limit int) (persistence.Pruned, error) {
	var f persistence.Pruned
	err := s.run(ctx, func(ctx context.Context, x *tx) error {
		f = persistence.Pruned{}
		var w walk
		if held, err := x.holdWalk(ctx, age, &w); err != nil || !held {
			return err
		}
		rows, err := x.exec(ctx, pruneLogs, age, limit)
		if err != nil {
			return err
		}
		f.Logs = int(rows)
		f.More = f.Logs == limit
		if w.rests {
			return nil
		}
		return x.walkOn(ctx, w, age, limit, &f)
	})
	if err != nil {
		return persistence.Pruned{}, err
	}
	return f, nil
}

// walk is where the walk through calls stands.
type walk struct {
	page, pages int64 // it goes on at page; there are so many
	rests       bool  // the last one has ended not long ago
}

// holdWalk is false while another process walks.
func (x *tx) holdWalk(ctx context.Context, age time.Duration, w *walk) (held bool, err error) {
	b := x.batch()
	b.Queue(holdWalk, persistence.Rest(age)).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&w.page, &w.rests, &w.pages}, func() error {
			held = true
			return nil
		})
		return err
	})
	err = x.send(ctx, stageApply, b, true)
	return held, err
}

// walkOn looks at the next pages, and notes how far it came.
func (x *tx) walkOn(ctx context.Context, w walk, age time.Duration, limit int, f *persistence.Pruned) error {
	next := min(w.page+walkPages, w.pages)
	var full bool
	var last int64
	b := x.batch()
	b.Queue(pruneCalls, w.page, next, age, limit).QueryRow(func(row pgx.Row) error {
		return row.Scan(&f.Calls, &f.Silenced, &full, &last)
	})
	if err := x.send(ctx, stageApply, b, true); err != nil {
		return err
	}
	switch {
	case full:
		x.last.Queue(noteWalk, last) // the rest of that page is still to come
	case next < w.pages:
		x.last.Queue(noteWalk, next)
	default:
		x.last.Queue(endWalk)
		return nil
	}
	f.More = true
	return nil
}
