package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// Advisory locks on a database, from "dibs" in ASCII.
const (
	// occupyKey is held by each server, by all of them or by one alone.
	occupyKey int64 = 0x64696273 + iota
	// loneKey and sharedKey are held, shared, by each connection on which a server
	// writes: one that is alone, and one that is not. They outlive the server: until
	// the database has carried out what a killed one had sent.
	loneKey
	sharedKey
	// nodesKey and readersKey keep two kinds of servers apart that share: nodes of a
	// cluster trust what they remember, others read before they answer, and write what
	// nodes would not know of. Each holds the one of its kind, shared.
	nodesKey
	readersKey
)

const (
	// occupyCheck is how often a server looks whether it still has its place, and
	// occupyRetry how often it tries to get it back.
	occupyCheck = 2 * time.Second
	occupyRetry = 100 * time.Millisecond
	// occupyWithin is how long a new server waits for one that was killed: the
	// database may not have noticed yet.
	occupyWithin = 5 * time.Second
)

var (
	// errOccupied: somebody else has the place, or had it meanwhile.
	errOccupied = errors.New("another server uses this database")
	// errNotYet: an earlier server is gone, and the database does not know it yet.
	errNotYet = errors.New("the sessions of an earlier server are not over yet")
	// errOtherKind: see nodesKey.
	errOtherKind = errors.New("servers of the other kind use this database: either all are given --cluster, or none")
	// errNoPlace: connections are made for writing only while the server has its
	// place.
	errNoPlace = errors.New("the place of this server in the database is not certain")
	errPooler  = errors.New("a connection pool that shares sessions stands between dibs and Postgres; dibs needs sessions of its own")
)

// Occupy keeps servers that trust their memory of the database from sharing it:
// one that is not shared is alone, shared ones let each other in. A server's place
// lasts as long as one connection; when that breaks, no write begins until the
// server has it back. If somebody else has it by then, or had it meanwhile, lost
// gets an error, and the server must stop. Close ends it.
//
// Who is alone commits the writes of a client one batch after the other, as its
// journal does: then a claim never waits for another transaction, and its token
// needs no second look. That holds only if nothing of an earlier server is still
// under way: what a killed server had sent is read from the socket and committed
// however dead the sender is. So a server waits for the sessions of those that were
// alone, and one that wants to be alone for all.
func (s *Store) Occupy(ctx context.Context, shared bool) (lost <-chan error, err error) {
	o := &occupation{store: s, shared: shared}
	ctx, cancel := context.WithTimeout(ctx, occupyWithin)
	defer cancel()
	if err := untilIn(ctx, o.enter); err != nil {
		o.drop()
		return nil, err
	}
	s.place.serving.Store(true)
	s.engine.Reset() // what is open does not hold a lock yet
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

// untilIn tries to enter until it is in, or nothing is to be gained by waiting, or the
// time is over. Then who stands in the way is what counts, and not that the time ended in
// the middle of a try.
func untilIn(ctx context.Context, enter func(context.Context) error) error {
	var inTheWay error
	for {
		err := enter(ctx)
		switch {
		case errors.Is(err, errNotYet) && errors.Is(inTheWay, errOtherKind):
			// the session that is not over yet is the one of the last try: see ofOneKind
		case errors.Is(err, errOccupied), errors.Is(err, errNotYet), errors.Is(err, errOtherKind):
			inTheWay = err
		case err != nil && ctx.Err() != nil && inTheWay != nil:
			return inTheWay
		default:
			return err
		}
		if sleep(ctx, occupyRetry) != nil {
			return inTheWay
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// occupation is a server's place and the connection that holds it. One goroutine
// uses it.
type occupation struct {
	store   *Store
	shared  bool
	conn    *pgx.Conn // nil: broken
	fresh   bool      // the connection is newer than session
	session doubt     // of the connection; of the last one while fresh
	epoch   int64     // zero: never entered
}

// enter takes the place, or takes it back.
func (o *occupation) enter(ctx context.Context) error {
	began := o.store.place.now()
	for _, step := range []func(context.Context) error{o.connect, o.lock, o.ofOneKind, o.outlive, o.count} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	o.store.place.take(o.session, !o.shared)
	o.store.place.saw(began, !o.shared)
	return nil
}

// connect makes the connection, and waits until the session of the last one is over:
// until then it is we who have the lock.
func (o *occupation) connect(ctx context.Context) error {
	if o.conn == nil {
		conn, err := pgx.ConnectConfig(ctx, o.store.engine.Config().ConnConfig.Copy())
		if err != nil {
			return wrap(err)
		}
		o.conn, o.fresh = conn, true
	}
	if !o.fresh {
		return nil
	}
	if o.session.pid != 0 {
		over, err := sessionOver(ctx, o.conn, o.session)
		if err != nil {
			return o.broken(err)
		}
		if !over {
			return errNotYet
		}
	}
	began, err := born(ctx, o.conn)
	if err != nil {
		return o.broken(err)
	}
	o.session, o.fresh = doubt{pid: o.conn.PgConn().PID(), born: began}, false
	return nil
}

func (o *occupation) lock(ctx context.Context) error {
	sql := `SELECT pg_try_advisory_lock($1)`
	if o.shared {
		sql = `SELECT pg_try_advisory_lock_shared($1)`
	}
	var got bool
	if err := o.conn.QueryRow(ctx, sql, occupyKey).Scan(&got); err != nil {
		return o.broken(err)
	}
	if !got {
		return errOccupied
	}
	return nil
}

// ofOneKind fails while servers of the other kind are there. It takes its own key first, so
// that of two that come together at least one sees the other.
func (o *occupation) ofOneKind(ctx context.Context) error {
	if !o.shared {
		return nil
	}
	own, other := readersKey, nodesKey
	if o.store.ofCluster {
		own, other = other, own
	}
	var free bool
	if _, err := o.conn.Exec(ctx, `SELECT pg_advisory_lock_shared($1)`, own); err != nil {
		return o.broken(err)
	}
	const sql = `SELECT CASE WHEN pg_try_advisory_lock($1) THEN pg_advisory_unlock($1) ELSE false END`
	if err := o.conn.QueryRow(ctx, sql, other).Scan(&free); err != nil {
		return o.broken(err)
	}
	if !free {
		o.drop()
		return errOtherKind
	}
	return nil
}

// outlive fails while sessions of earlier servers are there that this one must
// not meet.
func (o *occupation) outlive(ctx context.Context) error {
	keys := []int64{loneKey}
	if !o.shared {
		keys = append(keys, sharedKey)
	}
	for _, key := range keys {
		var gone bool
		const sql = `SELECT CASE WHEN pg_try_advisory_lock($1) THEN pg_advisory_unlock($1) ELSE false END`
		if err := o.conn.QueryRow(ctx, sql, key).Scan(&gone); err != nil {
			return o.broken(err)
		}
		if !gone {
			return errNotYet
		}
	}
	return nil
}

// count notes that a server came in. One that is alone and only comes back finds
// out whether it was the last.
func (o *occupation) count(ctx context.Context) error {
	if o.epoch == 0 {
		return o.broken(o.conn.QueryRow(ctx, `UPDATE occupation SET epoch = epoch + 1 RETURNING epoch`).Scan(&o.epoch))
	}
	var epoch int64
	if err := o.conn.QueryRow(ctx, `SELECT epoch FROM occupation`).Scan(&epoch); err != nil {
		return o.broken(err)
	}
	if !o.shared && epoch != o.epoch {
		return errOccupied
	}
	return nil
}

// broken gives up a connection after an error.
func (o *occupation) broken(err error) error {
	if err != nil {
		o.drop()
	}
	return wrap(err)
}

// keep watches over the place until stop is closed. It fails only when somebody
// else has it, or had it.
func (o *occupation) keep(stop <-chan struct{}) error {
	for {
		wait := occupyCheck
		if !o.store.place.certain() {
			wait = occupyRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-stop:
			timer.Stop()
			return nil
		case <-o.store.place.doubted:
			timer.Stop()
		case <-timer.C:
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
		began := o.store.place.now()
		if err := o.conn.Ping(ctx); err != nil {
			o.drop()
		} else if o.store.place.certain() {
			o.store.place.saw(began, !o.shared)
		}
	}
	if o.store.place.certain() {
		return nil
	}
	err := o.enter(ctx)
	if err == nil {
		o.store.engine.Reset()
	}
	return err
}

// drop gives up the place, and has the connections that wrote from it closed:
// while one is there, the place cannot be had.
func (o *occupation) drop() {
	o.store.place.leave()
	o.store.engine.Reset()
	if o.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = o.conn.Close(ctx) // it may be broken
	o.conn = nil
}
