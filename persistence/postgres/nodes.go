package postgres

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/jackc/pgx/v5"
)

// Nodes of a cluster take over each other's actors, which answer from memory. So nothing
// that a node still had under way may be committed after another one has read the store
// in its place: a paused process that wakes up sends what it was about to send. Each
// session on which a node writes carries the node's name; who takes over ends all sessions
// of that name, and a node asks whether it is still trusted with the session in its hands.
// Then either the session was ended before, or the node was not trusted any more.

// sessionLabel is before the name of a node in the name of its sessions.
const sessionLabel = "dibs-node:"

// enlisted is the node whose sessions a store makes.
type enlisted struct {
	id           string
	valid, alone func() bool
}

// Enlist names the sessions on which this process writes from now on after a node.
// Nothing is written unless valid says so, with the session in hand. While alone says so
// no other node keeps actors, nor has any under way: then calls are written as by a
// server that has the database for itself. Before another one begins, Settle is called.
func (s *Store) Enlist(id string, valid, alone func() bool) {
	s.node.Store(&enlisted{id: id, valid: valid, alone: alone})
	s.engine.Reset()
}

// Settle returns when everything is over that was begun before it was called, whatever
// became of it. From then on another node may write, if alone does not say otherwise.
func (s *Store) Settle(ctx context.Context) error {
	select {
	case <-s.writing.begun():
	case <-ctx.Done():
		return ctx.Err()
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.settled(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// writing counts batches that are being written. The zero value is ready.
type writing struct {
	mu   sync.Mutex
	now  *sync.WaitGroup // those since begun was last called
	over <-chan struct{} // closed when those before are over; nil: there were none
}

// enter counts one until leave is called.
func (w *writing) enter() (leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == nil {
		w.now = &sync.WaitGroup{}
	}
	w.now.Add(1)
	return w.now.Done
}

// begun is closed when those are over that were counted before.
func (w *writing) begun() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, earlier := w.now, w.over
	over := make(chan struct{})
	w.now, w.over = nil, over
	go func() {
		if last != nil {
			last.Wait()
		}
		if earlier != nil {
			<-earlier
		}
		close(over)
	}()
	return over
}

// Outlive ends the sessions of all nodes but live, and returns when they are over.
func (s *Store) Outlive(ctx context.Context, live []string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var left int
		err := s.lists.QueryRow(ctx, `
SELECT count(*) FROM (
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE $1 || '%'
      AND NOT substr(application_name, length($1) + 1) = ANY ($2::text[])) AS ended`, sessionLabel, live).Scan(&left)
		switch {
		case err != nil:
			return wrap(s.broken(err))
		case left == 0:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// nodeKey is where a connection says which node it belongs to.
const nodeKey = "dibs node"

// label names a new session after the node, if there is one.
func (s *Store) label(ctx context.Context, conn *pgx.Conn) error {
	n := s.node.Load()
	if n == nil {
		return nil
	}
	_, err := conn.Exec(ctx, `SELECT set_config('application_name', $1, false)`, sessionLabel+n.id)
	conn.PgConn().CustomData()[nodeKey] = n.id
	return err
}

var errNotTrusted = errors.New("this node has lost touch with the cluster")

// trusted reports whether this node may write on a connection now. Its error says that
// nothing was written.
func (s *Store) trusted(conn *pgx.Conn) error {
	n := s.node.Load()
	if n == nil {
		return nil
	}
	if id, _ := conn.PgConn().CustomData()[nodeKey].(string); id != n.id || !n.valid() {
		return &messages.Error{Code: messages.CodeOverloaded, Cause: errNotTrusted}
	}
	return nil
}

// OfCluster says that this process is a node of a cluster. It is called before Occupy, which
// then keeps out servers that share the database without being one.
func (s *Store) OfCluster() { s.ofCluster = true }
