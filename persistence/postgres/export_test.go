package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Stages are the messages that a batch with keys and refused claims sends.
var Stages = []string{string(stageKeys), string(stageApply), string(stageExplain), string(stageCommit)}

// WithDial makes the store's connections by dial.
func WithDial(c Config, dial pgconn.DialFunc) Config {
	c.dial = dial
	return c
}

// BreakAt calls f before each message of a transaction.
func (s *Store) BreakAt(f func(stage string, conn *pgx.Conn) error) {
	s.at = func(at stage, conn *pgx.Conn) error { return f(string(at), conn) }
}

// ResolveWithin bounds how long the store looks for a lost commit.
func (s *Store) ResolveWithin(d time.Duration) { s.committer.ResolveWithin = d }

// Forget makes the store believe that it does not know what became of xid.
func (s *Store) Forget(xid string) { s.pending.add(doubt{xid: xid}) }

// WriteCarefully makes the store write the next n batches in the careful way.
func (s *Store) WriteCarefully(n int32) { s.careful.Store(n) }

// Wary reports whether a batch was just written that surprised.
func (s *Store) Wary() bool { return s.careful.Load() > 0 }

// StageAtOnce is the message of a batch that is written at once.
const StageAtOnce = string(stageAtOnce)

// ForgetSession makes the store believe that it does not know what became of the
// transaction of a session.
func (s *Store) ForgetSession(pid uint32, born time.Time) { s.pending.add(doubt{pid: pid, born: born}) }

// OnEngine runs f on a connection with the settings of point look-ups and
// transactions.
func (s *Store) OnEngine(ctx context.Context, f func(*pgx.Conn) error) error {
	return s.engine.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return f(c.Conn()) })
}

// PruneCalls is a piece of the walk through calls.
const PruneCalls = pruneCalls

// Statements are those that batches are written with.
func Statements() map[string]string {
	return map[string]string{
		"claim": claim, "correct": correct, "begin": begin, "beginAtOnce": beginAtOnce,
		"release": release, "end": end, "endKnown": endKnown, "endAtOnce": endAtOnce, "stillRunning": stillRunning, "renew": renew,
		"found": found, "kept": kept, "present": present,
		"insertKeys": insertKeys, "selectKeys": selectKeys, "updateKeys": updateKeys,
		"held by user": heldClaims + `WHERE c.user_id = ANY ($1)`, "held by client": heldClaims + `WHERE c.client_id = ANY ($1)`,
		"witnessCalls": witnessCalls, "witnessLogs": witnessLogs,
		"lockClaims": lockClaims,
	}
}

// Alone reports whether the store knows that no other server writes.
func (s *Store) Alone() bool { _, alone := s.place.get(); return alone }
