package sqlite

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/persistence"
)

// Calls stand in the order in which they ended, so that a walk from the first on
// meets the oldest first, without an index by time that each call would pay for.

// walkRows bounds how many calls one transaction looks at: some milliseconds, for
// which claims wait.
const walkRows = 2000

// PruneHistory implements [persistence.Retention].
func (s *Store) PruneHistory(ctx context.Context, age time.Duration, limit int) (persistence.Pruned, error) {
	var f persistence.Pruned
	err := s.write(ctx, func(x *tx) (err error) {
		f = persistence.Pruned{}
		before := x.now - age.Microseconds()
		if f.Logs, err = x.count(`
			delete from call_logs where seq in (
				select seq from call_logs where created_at <= ?1 and coalesce(callback_time, 0) <= ?1 order by created_at limit ?2)`,
			before, limit); err != nil {
			return err
		}
		f.More = f.Logs == limit
		return x.pruneCalls(age, before, limit, s.walkRows, &f)
	})
	if err != nil {
		return persistence.Pruned{}, err
	}
	return f, nil
}

// count is exec for few rows.
func (x *tx) count(query string, args ...any) (int, error) {
	n, err := x.exec(query, args...)
	return int(n), err
}

// old are the calls of the next piece of the walk that ended long ago and are to be
// removed or emptied: behind ?1, up to ?2, ended by ?3, at most ?4.
const old = `
	select seq, newer from (
		select seq, disposition <> '' or notes <> '' as told,
			exists (select 1 from calls n where n.client_id = c.client_id and n.token > c.token) as newer
		from calls c where seq > ?1 and seq <= ?2 and ended_at <= ?3)
	where newer or told order by seq limit ?4`

// pruneCalls goes on with the walk through calls, or begins one.
func (x *tx) pruneCalls(age time.Duration, before int64, limit, most int, f *persistence.Pruned) (err error) {
	var at, walked *int64
	if _, err := x.get(`select seq, walked_at from retention`, nil, &at, &walked); err != nil {
		return err
	}
	from := int64(0)
	switch {
	case at != nil:
		from = *at
	case walked != nil && *walked > x.now-persistence.Rest(age).Microseconds():
		return nil
	}
	to, last, err := x.piece(from, before, most)
	if err != nil {
		return err
	}
	var full *int64 // up to which call it is as many as may be; nil: it is fewer
	if _, err := x.get(`select max(seq) from (`+old+`) having count(*) = ?4`, []any{from, to, before, limit}, &full); err != nil {
		return err
	}
	if full != nil {
		to, last = *full, false
	}
	if f.Silenced, err = x.count(`
		update calls set disposition = '', notes = '' where seq in (select seq from (`+old+`) where not newer)`,
		from, to, before, limit); err != nil {
		return err
	}
	if f.Calls, err = x.count(`delete from calls where seq in (select seq from (`+old+`) where newer)`,
		from, to, before, limit); err != nil {
		return err
	}
	if last {
		_, err = x.exec(`update retention set seq = null, walked_at = ?1`, x.now)
		return err
	}
	f.More = true
	_, err = x.exec(`update retention set seq = ?1`, to)
	return err
}

// piece is up to which call to look next, and whether that is where the walk ends:
// at the last call, or where all are younger than those it looks for, as are those
// behind them. Calls that ended in the future tell of a clock that was wrong, and
// nothing of those behind them.
func (x *tx) piece(from, before int64, most int) (to int64, last bool, err error) {
	var rows int
	var young bool
	_, err = x.get(`
		select coalesce(max(seq), ?1), count(*), coalesce(min(ended_at) > ?2 and max(ended_at) <= ?4, false)
		from (select seq, ended_at from calls where seq > ?1 order by seq limit ?3)`,
		[]any{from, before, most, x.now}, &to, &rows, &young)
	return to, rows < most || young, err
}
