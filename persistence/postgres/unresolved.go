package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/jackc/pgx/v5"
)

// doubt names a transaction that may still be in progress on the server although
// its connection is lost: by its id or, if that is not known, by the session that
// it ran in.
type doubt struct {
	xid  string
	pid  uint32
	born time.Time // of the session: process ids come round
}

func (d doubt) String() string {
	if d.xid != "" {
		return "transaction " + d.xid
	}
	return fmt.Sprintf("the transaction of session %d", d.pid)
}

// unresolved are the transactions that nobody waits for any more.
type unresolved struct {
	mu  sync.Mutex
	all map[doubt]struct{}
}

func (u *unresolved) add(d doubt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = make(map[doubt]struct{})
	}
	u.all[d] = struct{}{}
}

func (u *unresolved) remove(d doubt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.all, d)
}

func (u *unresolved) list() []doubt {
	u.mu.Lock()
	defer u.mu.Unlock()
	var all []doubt
	for d := range u.all {
		all = append(all, d)
	}
	return all
}

func (u *unresolved) none() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.all) == 0
}

// undisturbed reports whether writes of one client come one after the other, in
// the order of its journal: this server is alone, by its [occupation] or as the only
// node of a cluster that keeps actors, and no transaction of its own may still be in
// progress unseen. Then no claim can have waited for another transaction, and its token
// is right as it was counted.
func (s *Store) undisturbed() bool {
	session, alone := s.place.get()
	if n := s.node.Load(); n != nil {
		alone = session.pid != 0 && n.alone()
	}
	return alone && s.pending.none()
}

// settled makes sure that no transaction whose outcome is unknown is still in
// progress, so that what is read next cannot be changed by one afterwards.
func (s *Store) settled(ctx context.Context) error {
	for _, d := range s.pending.list() {
		over, err := s.over(ctx, d)
		if err != nil {
			return wrap(s.broken(err))
		}
		if !over {
			return &messages.Error{Code: messages.CodeUnavailable, Cause: errors.New(d.String() + " is not over yet")}
		}
		s.pending.remove(d)
	}
	return nil
}

func (s *Store) over(ctx context.Context, d doubt) (bool, error) {
	if d.xid != "" {
		status, err := s.xactStatus(ctx, d.xid)
		return status != xactInProgress, err
	}
	return sessionOver(ctx, s.engine, d)
}

// sessionOver reports whether a session has ended, and with it all that it was
// sent. One that waits for its client has not noticed that it is gone, and is
// told.
func sessionOver(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, d doubt,
) (over bool, err error) {
	err = db.QueryRow(ctx, `
SELECT count(CASE WHEN state LIKE 'idle%' THEN pg_terminate_backend(pid) END) >= 0 AND count(*) = 0
FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2`, int64(d.pid), d.born).Scan(&over)
	return over, err
}

// deafFor is how long a server that cannot be asked is asked again for a caller
// who is waiting.
const deafFor = 300 * time.Millisecond

// await waits until a transaction is over, or ctx ends, or the server cannot be
// asked.
func (s *Store) await(ctx context.Context, d doubt) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	heard := time.Now()
	for {
		ask, cancel := context.WithTimeout(ctx, deafFor)
		over, err := s.over(ask, d)
		cancel()
		switch {
		case over:
			return nil
		case err == nil:
			heard = time.Now()
		case time.Since(heard) > deafFor:
			return err
		default:
			_ = s.broken(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
