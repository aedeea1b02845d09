package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// Advisory locks on a database, "dibs" and "dibt" in ASCII.
const (
	// occupyKey is held by each server, by all of them or by one alone.
	occupyKey = 0x64696273
	// writersKey is held, shared, by each connection on which a server writes.
	// It outlives the server: until the database has carried out what a killed
	// one had sent.
	writersKey = occupyKey + 1
)

const (
	occupyCheck = 2 * time.Second
	// occupyWithin is how long a new server waits for one that was killed: the
	// database may not have noticed yet.
	occupyWithin = 5 * time.Second
)

var errOccupied = errors.New("another server uses this database")

// Occupy keeps servers that trust their memory of the database from sharing it:
// one that is not shared keeps out all others, shared ones let each other in.
// The database keeps the lock for as long as the connection lasts; when that
// breaks, the lock is taken again. If somebody else has it by then, lost gets an
// error, and the server must stop. Close ends it.
//
// A server that is not shared commits the writes of a client one batch after the
// other, as its journals do: then a claim never waits for another transaction, and
// its token needs no second look. It also waits for what its predecessor sent before
// it was killed. That is read from the socket and committed however dead the
// sender is; who read claims before it would remember what is not so.
func (s *Store) Occupy(ctx context.Context, shared bool) (lost <-chan error, err error) {
	o := &occupation{store: s, shared: shared}
	ctx, cancel := context.WithTimeout(ctx, occupyWithin)
	defer cancel()
	for {
		if err = o.lock(ctx); err == nil && !shared {
			err = o.outlive(ctx)
		}
		if !errors.Is(err, errOccupied) {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
			continue
		case <-ctx.Done():
		}
		break
	}
	if err != nil {
		o.drop()
		return nil, err
	}
	s.serving.Store(true)
	s.alone.Store(!shared)
	s.engine.Reset() // what is open does not hold the writers' lock yet
	failed := make(chan error, 1)
	stop, done := make(chan struct{}), make(chan struct{})
	s.leave = func() { close(stop); <-done }
	go func() {
		defer close(done)
		defer o.drop()
		if err := o.keep(stop); err != nil {
			failed <- err
		}
	}()
	return failed, nil
}

// occupation is the lock and the connection that holds it. One goroutine uses
// it.
type occupation struct {
	store   *Store
	shared  bool
	conn    *pgx.Conn // nil: broken
	session doubt     // of the connection, or of the last one
}

func (o *occupation) lock(ctx context.Context) error {
	if o.conn == nil {
		conn, err := pgx.ConnectConfig(ctx, o.store.engine.Config().ConnConfig.Copy())
		if err != nil {
			return wrap(err)
		}
		o.conn, o.session.pid = conn, conn.PgConn().PID()
		err = conn.QueryRow(ctx, `SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()`).Scan(&o.session.born)
		if err != nil {
			o.drop()
			return wrap(err)
		}
	}
	sql := `SELECT pg_try_advisory_lock($1)`
	if o.shared {
		sql = `SELECT pg_try_advisory_lock_shared($1)`
	}
	var got bool
	if err := o.conn.QueryRow(ctx, sql, int64(occupyKey)).Scan(&got); err != nil {
		o.drop()
		return wrap(err)
	}
	if !got {
		return errOccupied
	}
	return nil
}

// outlive fails with errOccupied while a connection of an earlier server is
// there.
func (o *occupation) outlive(ctx context.Context) error {
	var gone bool
	const sql = `SELECT CASE WHEN pg_try_advisory_lock($1) THEN pg_advisory_unlock($1) ELSE false END`
	if err := o.conn.QueryRow(ctx, sql, int64(writersKey)).Scan(&gone); err != nil {
		o.drop()
		return wrap(err)
	}
	if !gone {
		return errOccupied
	}
	return nil
}

// holdWriters marks a new connection of a server as one that writes, and notes
// when its session began.
func (s *Store) holdWriters(ctx context.Context, conn *pgx.Conn) error {
	if !s.serving.Load() {
		return nil
	}
	var born time.Time
	err := conn.QueryRow(ctx, `SELECT backend_start FROM pg_stat_activity, pg_advisory_lock_shared($1) WHERE pid = pg_backend_pid()`,
		int64(writersKey)).Scan(&born)
	conn.PgConn().CustomData()[bornKey] = born
	return err
}

// bornKey is where a connection of a server says when its session began.
const bornKey = "dibs born"

// keep watches over the connection until stop is closed. It fails only when
// somebody else has the lock.
func (o *occupation) keep(stop <-chan struct{}) error {
	tick := time.NewTicker(occupyCheck)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		if err := o.check(); errors.Is(err, errOccupied) {
			return err
		}
	}
}

func (o *occupation) check() error {
	ctx, cancel := context.WithTimeout(context.Background(), occupyCheck)
	defer cancel()
	if o.conn != nil {
		if err := o.conn.Ping(ctx); err != nil {
			o.drop()
		}
		return nil
	}
	// The server may not have noticed yet that the connection is broken: then it
	// is we who have the lock.
	if over, err := o.store.over(ctx, o.session); err != nil || !over {
		return err
	}
	return o.lock(ctx)
}

func (o *occupation) drop() {
	if o.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = o.conn.Close(ctx) // it may be broken
	o.conn = nil
}
