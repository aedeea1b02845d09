package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// NodeRecord is what a node wrote of itself.
type NodeRecord struct {
	ID      string
	Record  []byte // empty: removed
	Removed bool
}

// nodesKept is how long a removed node is still told of, and one that nobody removed
// stays: longer than anybody waits for it.
const nodesKept = "1 minute"

// PutNode writes what a node says of itself, in the place of what it wrote with a lower
// beat. It reports whether it was written: not if the node was removed, or has written a
// later beat.
func (s *Store) PutNode(ctx context.Context, id string, beat uint64, record []byte) (written bool, err error) {
	// When power is lost, so is everybody's memory: the record need not be on disk. It
	// is seen by others all the same.
	tag, err := s.engine.Exec(ctx, `
INSERT INTO nodes AS n (id, beat, record) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET beat = excluded.beat, record = excluded.record, written_at = now()
WHERE n.beat < excluded.beat AND NOT n.removed`, id, int64(beat), string(record)) //nolint:gosec // counts half seconds
	return tag.RowsAffected() == 1, wrap(s.broken(err))
}

// Nodes returns what all nodes wrote. It sees whatever was written before it began.
func (s *Store) Nodes(ctx context.Context) ([]NodeRecord, error) {
	rows, err := s.engine.Query(ctx, `SELECT id, record, removed FROM nodes WHERE written_at > now() - interval '`+nodesKept+`'`)
	if err != nil {
		return nil, wrap(s.broken(err))
	}
	nodes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n NodeRecord, err error) {
		return n, row.Scan(&n.ID, &n.Record, &n.Removed)
	})
	return nodes, wrap(s.broken(err))
}

// RemoveNode says that nothing comes of a node any more, and forgets nodes of long ago.
func (s *Store) RemoveNode(ctx context.Context, id string) error {
	_, err := s.engine.Exec(ctx, `
WITH old AS (DELETE FROM nodes WHERE written_at < now() - interval '`+nodesKept+`')
INSERT INTO nodes (id, beat, record, removed) VALUES ($1, 0, '', true)
ON CONFLICT (id) DO UPDATE SET record = '', removed = true, written_at = now()`, id)
	return wrap(s.broken(err))
}
