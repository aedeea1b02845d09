package postgres

import (
	"context"
	"errors"
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
	id    string
	valid func() bool
}

// Enlist names the sessions on which this process writes from now on after a node.
// Nothing is written unless valid says so, with the session in hand.
func (s *Store) Enlist(id string, valid func() bool) {
	s.node.Store(&enlisted{id: id, valid: valid})
	s.engine.Reset()
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
