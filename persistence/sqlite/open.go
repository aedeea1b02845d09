package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// Config says where the store is.
type Config struct {
	// Path is the file. Beside it SQLite keeps two more, -wal and -shm, that
	// belong to it.
	Path string
	// Logger is told of what an operator should know. Nil: nobody is.
	Logger *slog.Logger
	// Now is the store's clock. Nil: time.Now.
	Now func() time.Time
}

const (
	// lockWithin is how long a transaction waits for another process to let
	// go of the file.
	lockWithin = 5 * time.Second
	// resolveWithin is how long the outcome of a lost COMMIT is looked for.
	resolveWithin = 2 * time.Second
)

// Store implements [persistence.Store]. Use [Open].
type Store struct {
	log       *slog.Logger
	now       func() time.Time
	committer persistence.Committer
	writer    *writer
	readers   *sql.DB

	prepared sync.Map // SQL -> *sql.Stmt, of readers
	walkRows int      // see there; less in tests

	// open is held shared by every operation and exclusively by Close.
	open   sync.RWMutex
	closed bool // under open
}

var _ persistence.Store = (*Store)(nil)

// Open opens a store whose schema is up to date (see [Migrate]).
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := upToDate(ctx, cfg.Path); err != nil {
		return nil, err
	}
	s := &Store{log: cfg.Logger, now: cfg.Now, walkRows: walkRows}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.committer = persistence.Committer{
		Judge: judge, Tries: 1,
		Pause:         func(context.Context, int) {}, // for want of retries
		ResolveWithin: resolveWithin,
	}
	var err error
	if s.readers, err = sql.Open("sqlite", readerDSN(cfg.Path)); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	n := max(4, runtime.GOMAXPROCS(0))
	s.readers.SetMaxOpenConns(n)
	s.readers.SetMaxIdleConns(n)
	if s.writer, err = newWriter(ctx, cfg.Path); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store: %w", err), s.readers.Close())
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store: %w", err), s.Close())
	}
	return s, nil
}

// Close waits for what is under way and closes the file. What comes later is
// answered with [messages.CodeUnavailable].
func (s *Store) Close() error {
	s.open.Lock()
	defer s.open.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.readers.Close(), s.writer.close())
}

// enter lets an operation begin; leave must be called at its end. No function
// that was handed in may be called in between: it might call the store again,
// and wait for a Close that waits for it. A [messages.Room] does not.
func (s *Store) enter() (leave func(), err error) {
	s.open.RLock()
	if s.closed {
		s.open.RUnlock()
		return nil, &messages.Error{Code: messages.CodeUnavailable, Cause: errors.New("the store is closed")}
	}
	return s.open.RUnlock, nil
}

// clock is the time as the store has it: microseconds since 1970.
func (s *Store) clock() int64 { return s.now().UnixMicro() }

// writerDSN: the short busy_timeout is one round of asking for the file's lock,
// see writer.begin. The log is copied back into the file every 4,000 pages of
// 4 KiB, and cut to 64 MiB if it was longer once.
func writerDSN(path string) string {
	return dsn(
		path, "journal_mode(wal)", "synchronous(full)", "busy_timeout(5)", "foreign_keys(on)",
		"wal_autocheckpoint(4000)", "journal_size_limit(67108864)", "cache_size(-65536)", "temp_store(memory)",
	)
}

func readerDSN(path string) string {
	return dsn(path, "busy_timeout(5000)", "query_only(on)", "cache_size(-16384)", "temp_store(memory)")
}

func dsn(path string, pragmas ...string) string {
	q := url.Values{"_pragma": pragmas, "_dqs": {"0"}}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}
