package postgres

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// place is what the connections of a store know of its [occupation]. It is safe
// for concurrent use.
type place struct {
	serving atomic.Bool   // a server's: connections that write need a place
	doubted chan struct{} // somebody found that the place may be lost

	now func() time.Time

	mu      sync.Mutex
	session doubt // that holds the place; zero: none does
	alone   bool

	// seen is the last moment at which a server that is to be alone is known to have had
	// its place; nil: no such server.
	seen atomic.Pointer[time.Time]
}

// trustFor is for how long after it was seen to have its place a server that is alone may
// tell what it remembers. The database ends the session that holds the place after ten
// seconds of silence of its machine at the earliest (see newPool), and lets nobody else in
// before.
const trustFor = 8 * time.Second

func newPlace(now func() time.Time) *place {
	if now == nil {
		now = time.Now
	}
	return &place{doubted: make(chan struct{}, 1), now: now}
}

// saw takes note that the place was had at a moment or later.
func (p *place) saw(at time.Time, lone bool) {
	if lone {
		p.seen.Store(&at)
	}
}

// Trusted reports whether what a server that is alone remembers of the database may be told
// now: nobody else can have been let in. A machine that was suspended finds that out here
// before it finds its connections broken. Servers that share do not go by it.
func (s *Store) Trusted() bool {
	seen := s.place.seen.Load()
	return seen == nil || s.place.now().Sub(*seen) < trustFor
}

func (p *place) take(session doubt, alone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session, p.alone = session, alone
}

// leave gives the place up. Somebody else may be let in from then on.
func (p *place) leave() {
	if p.seen.Load() != nil {
		p.seen.Store(&time.Time{})
	}
	p.take(doubt{}, false)
}

func (p *place) certain() bool {
	session, _ := p.get()
	return session.pid != 0
}

func (p *place) get() (session doubt, alone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session, p.alone
}

// doubt has the place looked after now.
func (p *place) doubt() {
	select {
	case p.doubted <- struct{}{}:
	default:
	}
}

// bornKey is where a connection of a server says when its session began.
const bornKey = "dibs born"

// connected prepares a new connection on which this process may write.
func (s *Store) connected(ctx context.Context, conn *pgx.Conn) error {
	if err := s.holdPlace(ctx, conn); err != nil {
		return err
	}
	return s.label(ctx, conn)
}

// holdPlace lets a new connection of a server write: it takes its lock first, and
// then makes sure that the server still has its place. Whoever gets the place
// after that waits for the lock.
func (s *Store) holdPlace(ctx context.Context, conn *pgx.Conn) error {
	if !s.place.serving.Load() {
		return nil
	}
	session, alone := s.place.get()
	key := sharedKey
	if alone {
		key = loneKey
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock_shared($1)`, key); err != nil {
		return err
	}
	began, err := born(ctx, conn)
	if err != nil {
		return err
	}
	var held bool
	err = conn.QueryRow(ctx, `
SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
               WHERE l.locktype = 'advisory' AND l.granted AND l.objid::bigint = $1
                 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND a.pid = $2 AND a.backend_start = $3)`, occupyKey, int64(session.pid), session.born).Scan(&held)
	if err != nil {
		return err
	}
	if !held {
		s.place.doubt()
		return errNoPlace
	}
	conn.PgConn().CustomData()[bornKey] = began
	return nil
}

// born is when the session of a connection began, by the server's clock. It
// refuses a connection whose session is not its own.
func born(ctx context.Context, conn *pgx.Conn) (time.Time, error) {
	var pid uint32
	var at time.Time
	err := conn.QueryRow(ctx, `SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()`).Scan(&pid, &at)
	if err == nil && pid != conn.PgConn().PID() {
		err = errPooler
	}
	return at, err
}
