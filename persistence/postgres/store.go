package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says where the store is and how much of it to use.
type Config struct {
	// URL is the address: postgres://user:password@host/database, or the
	// key=value form. Every setting of libpq that pgx knows may stand in it.
	URL string
	// Logger is told what an operator should know. Nil: nothing is told.
	Logger *slog.Logger
	// MaxConns bounds the connections to the server, 16 where it is zero, and
	// at least 4.
	MaxConns int32
	// Now is the clock by which [Store.Trusted] counts. It must be monotonic, and should
	// count the time for which the machine was suspended. Nil: time.Now.
	Now func() time.Time

	dial pgconn.DialFunc // nil except in tests
}

const (
	defaultMaxConns = 16
	minMaxConns     = 4

	connectTimeout = 2 * time.Second
	// operationTimeout bounds what an actor or a request waits for where its
	// own context does not: a server that is there and does not answer counts
	// as gone.
	operationTimeout = 5 * time.Second
	resolveWithin    = 2 * time.Second
	transactionTries = 12
)

// Store implements [persistence.Store]. It is safe for concurrent use. While
// the server is away its methods fail with [messages.CodeUnavailable]; when the
// server is back they go on.
type Store struct {
	engine    *pgxpool.Pool // point look-ups and transactions
	lists     *pgxpool.Pool // lists and searches
	log       *slog.Logger
	committer persistence.Committer
	pending   unresolved
	place     *place
	node      atomic.Pointer[enlisted] // nil: not a node of a cluster
	writing   writing                  // see Settle
	ofCluster bool                     // see Occupy; set before it
	leave     func()                   // ends Occupy; nil: not occupied
	careful   atomic.Int32             // how many batches are still to be written carefully
	closing   sync.Once
	// at is called before each message to the server that belongs to a
	// transaction. Nil except in tests, which break things there.
	at func(s stage, conn *pgx.Conn) error
}

// stage names the parts of a transaction for Store.at.
type stage string

const (
	stageKeys    stage = "keys"
	stageApply   stage = "apply"
	stageExplain stage = "explain"
	stageCommit  stage = "commit"
)

var _ persistence.Store = (*Store)(nil)

// Open connects to a migrated database. It fails, with a sentence for a person,
// when the server cannot be reached or migrations are pending.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := s.check(ctx, cfg.URL); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func connect(ctx context.Context, cfg Config) (*Store, error) {
	s := &Store{log: cfg.Logger, place: newPlace(cfg.Now)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.committer = persistence.Committer{
		Judge: judge, Tries: transactionTries, Pause: pause, ResolveWithin: resolveWithin,
	}
	total := cfg.MaxConns
	if total == 0 {
		total = defaultMaxConns
	}
	total = max(total, minMaxConns)
	var err error
	if s.engine, err = newPool(ctx, cfg, total-total/4, engineSettings, s.connected); err != nil {
		return nil, err
	}
	if s.lists, err = newPool(ctx, cfg, total/4, listSettings, nil); err != nil {
		s.engine.Close()
		return nil, err
	}
	return s, nil
}

// engineSettings keep the plans of point look-ups on the indexes, whatever the
// tables looked like when a plan was made.
//
// Locks are held for as long as a commit takes. Who waits much longer stands in
// a deadlock, which the server would look for after a second only, or behind a
// node that is stuck: the transaction lets go of what it holds and is tried
// again. A stuck node's own transaction ends after two seconds of silence, which
// is sooner than the tries of the others run out.
func engineSettings(params map[string]string) {
	params["plan_cache_mode"] = "force_generic_plan"
	params["jit"] = "off" // compiling takes longer than any statement here
	params["enable_seqscan"] = "off"
	params["enable_hashjoin"] = "off"
	params["enable_mergejoin"] = "off"
	params["lock_timeout"] = "250ms"
	params["idle_in_transaction_session_timeout"] = "2s"
}

func listSettings(params map[string]string) {
	params["plan_cache_mode"] = "force_custom_plan"
	params["jit"] = "off"
}

func newPool(
	ctx context.Context, c Config, conns int32, settings func(map[string]string), connected func(context.Context, *pgx.Conn) error,
) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, &messages.Error{Code: messages.CodeBadRequest, Sentence: "The database address cannot be understood.", Cause: err}
	}
	cfg.MaxConns, cfg.AfterConnect = conns, connected
	cfg.PingTimeout = connectTimeout
	if cfg.ConnConfig.ConnectTimeout == 0 || cfg.ConnConfig.ConnectTimeout > connectTimeout {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	if c.dial != nil {
		cfg.ConnConfig.DialFunc = c.dial
	}
	params := cfg.ConnConfig.RuntimeParams
	if params["application_name"] == "" {
		params["application_name"] = "dibs"
	}
	params["jit"] = "off" // compiling takes longer than any statement here
	// A server whose machine is gone says no goodbye. Its connections hold what
	// keeps its successor out, and end after about ten seconds of silence.
	params["tcp_keepalives_idle"], params["tcp_keepalives_interval"], params["tcp_keepalives_count"] = "5", "2", "3"
	params["tcp_user_timeout"] = "10000" // and if an answer was on its way to it
	settings(params)
	return pgxpool.NewWithConfig(ctx, cfg)
}

// check refuses a database that the store could not work with, and warns of one
// that would break I3.
func (s *Store) check(ctx context.Context, url string) error {
	if err := s.Ping(ctx); err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	steps, err := MigrationStatus(ctx, url)
	if err != nil {
		return err
	}
	if waiting := persistence.Pending(steps); waiting > 0 {
		return fmt.Errorf("the database lacks %d of %d migrations: run \"dibs migrate up\" first", waiting, len(steps))
	}
	var fsync, synchronous string
	err = s.engine.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('synchronous_commit')`).Scan(&fsync, &synchronous)
	if err != nil {
		return wrap(err)
	}
	if fsync == "off" || synchronous == "off" {
		s.log.Warn("the database is set up to forget: calls that were acknowledged are lost when it crashes",
			"fsync", fsync, "synchronous_commit", synchronous)
	}
	return nil
}

// Ping reports whether the server takes reads and writes now.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	var readOnly bool
	err := s.engine.QueryRow(ctx, `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean`).Scan(&readOnly)
	if err != nil {
		return wrap(s.broken(err))
	}
	if readOnly {
		return &messages.Error{Code: messages.CodeUnavailable, Cause: errors.New("the database is read-only")}
	}
	return nil
}

// Close waits for what is under way and closes all connections.
func (s *Store) Close() error {
	s.closing.Do(func() {
		if s.leave != nil {
			s.leave()
		}
	})
	s.engine.Close()
	s.lists.Close()
	return nil
}

// broken closes the idle connections after an error that says that the server
// went away: the others have lost it too, and each would fail one more caller.
func (s *Store) broken(err error) error {
	if lostServer(err) {
		s.engine.Reset()
		s.lists.Reset()
	}
	return err
}

// pause before the next try of a transaction: long enough for the one it
// collided with to end.
func pause(ctx context.Context, try int) {
	wait := time.Duration(1+rand.IntN(4*try)) * time.Millisecond
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
