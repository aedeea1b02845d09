package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"modernc.org/sqlite"
)

// writer is the connection that writes. Whoever has taken its slot owns all of
// its fields. Statements run without the caller's context: the transaction is
// short, and a statement that is interrupted in its midst gains nobody
// anything.
type writer struct {
	slot   chan struct{} // holds one token while nobody writes
	driver driver.Driver
	dsn    string
	conn   driver.Conn           // nil: to be made
	stmt   map[string]*statement // prepared on conn
	id     string                // of the row in writers
	// batch counts the transactions of this writer. The row in writers has
	// the number of the last one that was committed.
	batch int64
	// unsettled: a COMMIT failed, and nothing was committed since. See the
	// package comment.
	unsettled atomic.Bool // also read without the slot
	// fault stands for the disk in tests; nil otherwise.
	fault func(stage) error
}

// stage is a point in a transaction at which something can go wrong.
type stage string

const (
	stageBegin     stage = "begin"
	stageBody      stage = "body"      // the statements have run
	stageCommit    stage = "commit"    // instead of COMMIT
	stageCommitted stage = "committed" // COMMIT has run, its answer is lost
	stageResolve   stage = "resolve"   // looking what became of it
)

func newWriter(ctx context.Context, path string) (*writer, error) {
	w := &writer{slot: make(chan struct{}, 1), driver: &sqlite.Driver{}, dsn: writerDSN(path), id: uuid.NewString()}
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	w.slot <- struct{}{}
	return w, nil
}

// take waits for the right to write.
func (w *writer) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-w.slot:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) give() { w.slot <- struct{}{} }

func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := w.driver.Open(w.dsn)
	if err != nil {
		return err
	}
	w.conn, w.stmt = conn, make(map[string]*statement)
	return nil
}

// disconnect throws the connection away; the next transaction makes another.
func (w *writer) disconnect() error {
	if w.conn == nil {
		return nil
	}
	var errs []error
	for _, stmt := range w.stmt {
		errs = append(errs, stmt.close())
	}
	errs = append(errs, w.conn.Close())
	w.conn, w.stmt = nil, nil
	return errors.Join(errs...)
}

// close is called when nobody writes any more.
func (w *writer) close() error { return w.disconnect() }

// begin takes the file's lock. SQLite itself would wait ever longer between
// two looks and starve beside a process that writes without a rest; so it is
// told to give up soon, and asked again.
func (w *writer) begin(ctx context.Context) error {
	if err := w.failAt(stageBegin); err != nil {
		return err
	}
	if err := w.connect(ctx); err != nil {
		return err
	}
	deadline := time.Now().Add(lockWithin)
	for {
		_, err := w.exec("begin immediate")
		if !isBusy(err) || time.Now().After(deadline) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// commit makes the transaction durable.
func (w *writer) commit() error {
	if err := w.failAt(stageCommit); err != nil {
		return err
	}
	if _, err := w.exec("commit"); err != nil {
		return err
	}
	if err := w.failAt(stageCommitted); err != nil {
		return err
	}
	w.unsettled.Store(false)
	return nil
}

// rollback ends the transaction. SQLite may have ended it by itself already,
// and then refuses; that, or whatever else is wrong, ends with the connection.
func (w *writer) rollback() {
	if w.conn == nil {
		return
	}
	if _, err := w.exec("rollback"); err != nil {
		_ = w.disconnect() // its error would say again what is wrong with it
	}
}

func (w *writer) failAt(s stage) error {
	if w.fault == nil {
		return nil
	}
	return w.fault(s)
}

// prepare returns the statement, made at its first use.
func (w *writer) prepare(query string) (*statement, error) {
	if stmt := w.stmt[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := prepare(w.conn, query)
	if err != nil {
		return nil, err
	}
	w.stmt[query] = stmt
	return stmt, nil
}

// exec runs a statement and returns how many rows it changed.
func (w *writer) exec(query string, args ...any) (int64, error) {
	stmt, err := w.prepare(query)
	if err != nil {
		return 0, err
	}
	return stmt.exec(args)
}

// get runs a query of at most one row, scans it and reports whether there was
// one.
func (w *writer) get(query string, args []any, dest ...any) (bool, error) {
	stmt, err := w.prepare(query)
	if err != nil {
		return false, err
	}
	return stmt.get(args, dest)
}
