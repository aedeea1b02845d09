package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// tx is one attempt at a transaction. One goroutine uses it.
type tx struct {
	store *Store
	body  func(ctx context.Context, x *tx) error
	conn  *pgxpool.Conn // nil: not acquired, or let go
	begun bool
	pid   uint32
	xid   string    // of the transaction; empty while it has written nothing
	now   time.Time // by the store's clock, at the end of the last round trip
	// last rides with the commit, in one round trip. The transaction has its
	// id by then: send must have been called with writes set.
	last pgx.Batch
	// witness finds a row that only this transaction can have written. Where testify is
	// set, it makes it, once the outcome has to be looked up.
	witness witness
	testify func() witness
}

// witness is a query that returns one boolean.
type witness struct {
	sql  string
	args []any
}

// run carries out body in a transaction of its own. The body may run several
// times.
func (s *Store) run(ctx context.Context, body func(ctx context.Context, x *tx) error) error {
	return s.committer.Run(ctx, func() persistence.Attempt { return &tx{store: s, body: body} })
}

// Apply implements [persistence.Attempt].
func (x *tx) Apply(ctx context.Context) error {
	if err := x.acquire(ctx); err != nil {
		return err
	}
	return wrap(x.store.broken(x.body(ctx, x)))
}

func (x *tx) acquire(ctx context.Context) error {
	conn, err := x.store.engine.Acquire(ctx)
	if err != nil {
		return wrap(x.store.broken(err))
	}
	if err := x.store.trusted(conn.Conn()); err != nil {
		conn.Release()
		return err
	}
	x.conn, x.pid = conn, conn.Conn().PgConn().PID()
	return nil
}

// born is when the session began, by the server's clock.
func (x *tx) born() time.Time {
	born, _ := x.conn.Conn().PgConn().CustomData()[bornKey].(time.Time) // see holdWriters
	return born
}

// batch returns an empty batch to queue statements to, for send.
func (x *tx) batch() *pgx.Batch {
	b := &pgx.Batch{}
	if !x.begun {
		b.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
		x.begun = true
	}
	return b
}

// send carries out the statements of a batch in one round trip and runs their
// callbacks. writes says that the transaction is going to write, so that it
// gets its id now even if these statements wrote nothing.
func (x *tx) send(ctx context.Context, s stage, b *pgx.Batch, writes bool) error {
	id := `SELECT coalesce(pg_current_xact_id_if_assigned()::text, ''), statement_timestamp()`
	if writes {
		id = `SELECT pg_current_xact_id()::text, statement_timestamp()`
	}
	b.Queue(id).QueryRow(func(row pgx.Row) error { return row.Scan(&x.xid, &x.now) })
	if err := x.fault(s); err != nil {
		return err
	}
	if err := x.conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	x.now = x.now.UTC()
	return nil
}

// exec carries out one statement and returns how many rows it touched.
func (x *tx) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	var rows int64
	b := x.batch()
	b.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		rows = tag.RowsAffected()
		return nil
	})
	err := x.send(ctx, stageApply, b, true)
	return rows, err
}

// Commit implements [persistence.Attempt].
func (x *tx) Commit(ctx context.Context) error {
	x.last.Queue("COMMIT").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return errRolledBack
		}
		return nil
	})
	err := x.fault(stageCommit)
	if err == nil {
		err = x.conn.SendBatch(ctx, &x.last).Close()
	}
	return wrap(x.store.broken(err))
}

// Rollback implements [persistence.Attempt]. A connection that cannot be
// brought back to rest is closed, which ends its transaction as well.
func (x *tx) Rollback() {
	if x.conn == nil {
		return
	}
	defer x.release()
	pg := x.conn.Conn().PgConn()
	if pg.IsClosed() || pg.TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// An error closes the connection: the pool drops one that is not at rest.
	_, _ = x.conn.Exec(ctx, "ROLLBACK")
}

func (x *tx) release() {
	x.conn.Release()
	x.conn = nil
}

func (x *tx) fault(s stage) error {
	if x.store.at == nil {
		return nil
	}
	return x.store.at(s, x.conn.Conn())
}

// Resolve implements [persistence.Attempt]. What it cannot find out it adds to
// what claims are not read before.
func (x *tx) Resolve(ctx context.Context) persistence.Fate {
	x.abandon(ctx)
	if x.xid == "" {
		return persistence.FateNotApplied // it had written nothing
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		fate, over := x.ask(ctx)
		if over {
			return fate
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			x.store.pending.add(doubt{xid: x.xid})
			x.store.log.Error("the outcome of a transaction is unknown", "xid", x.xid)
			return persistence.FateUnknown
		}
	}
}

// abandon closes the connection, so that the server ends the transaction if the
// commit did not reach it.
func (x *tx) abandon(ctx context.Context) {
	if x.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_ = x.conn.Conn().Close(ctx) // it is broken anyway
	x.release()
}

// ask looks the transaction up once. over says that the answer is final.
func (x *tx) ask(ctx context.Context) (_ persistence.Fate, over bool) {
	status, err := x.store.xactStatus(ctx, x.xid)
	if err != nil {
		_ = x.store.broken(err) // asked again
		return persistence.FateUnknown, false
	}
	switch status {
	case xactAborted:
		return persistence.FateNotApplied, true
	case xactCommitted:
		return x.confirm(ctx)
	case xactInProgress:
		// The server may not have noticed that the connection is gone. It is
		// told, unless the commit has reached it: then it is about to end.
		_, _ = x.store.engine.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE pid = $1 AND backend_xid = $2::text::xid8::xid AND state LIKE 'idle in transaction%'`, int64(x.pid), x.xid)
		return persistence.FateUnknown, false
	}
	return persistence.FateUnknown, true // too old to tell, but over
}

// confirm makes sure that the transaction that was committed is this one. A
// server that crashed forgets the ids of transactions that were not committed,
// and gives them out again.
func (x *tx) confirm(ctx context.Context) (persistence.Fate, bool) {
	known := x.witness
	if x.testify != nil {
		known = x.testify()
	}
	if known.sql == "" {
		return persistence.FateUnknown, true
	}
	var there bool
	if err := x.store.engine.QueryRow(ctx, known.sql, known.args...).Scan(&there); err != nil {
		return persistence.FateUnknown, false
	}
	if there {
		return persistence.FateApplied, true
	}
	return persistence.FateNotApplied, true
}

// What Postgres says of a transaction id; empty when it has forgotten.
const (
	xactAborted    = "aborted"
	xactCommitted  = "committed"
	xactInProgress = "in progress"
)

func (s *Store) xactStatus(ctx context.Context, xid string) (string, error) {
	var status string
	err := s.engine.QueryRow(ctx, `SELECT coalesce(pg_xact_status($1::text::xid8), '')`, xid).Scan(&status)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "22023" {
		return xactAborted, nil // in the future: the server crashed and forgot it
	}
	return status, err
}
