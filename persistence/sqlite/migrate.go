package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/dibs-calls/dibs/migrations"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/internal/schema"
	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
)

// Migrate makes the file if there is none, brings its schema up to date and
// returns what it applied. It can be repeated. Processes that call it at the
// same time take turns, by a lock on the file <path>.migrate.lock.
func Migrate(ctx context.Context, path string) (applied []persistence.Migration, err error) {
	lock := flock.New(path + ".migrate.lock")
	if _, err := lock.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		return nil, fmt.Errorf("wait for another migration: %w", unavailable(err))
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	err = withProvider(path, func(p *goose.Provider) (err error) {
		applied, err = schema.Up(ctx, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("migrate the store: %w", wrap(err))
	}
	return applied, nil
}

// MigrationStatus returns all migrations in their order, the pending ones too.
// It makes no file where there is none.
func MigrationStatus(ctx context.Context, path string) (all []persistence.Migration, err error) {
	_, err = os.Stat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, fmt.Errorf("read the migrations of the store: %w", unavailable(err))
	}
	if missing {
		path = ":memory:"
	}
	err = withProvider(path, func(p *goose.Provider) (err error) {
		all, err = schema.Status(ctx, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the migrations of the store: %w", wrap(err))
	}
	return all, nil
}

// upToDate refuses a store whose schema is not this program's.
func upToDate(ctx context.Context, path string) error {
	steps, err := MigrationStatus(ctx, path)
	if err != nil {
		return err
	}
	if pending := persistence.Pending(steps); pending > 0 {
		return fmt.Errorf("the store %s lacks %d of %d migrations: run \"dibs migrate up\" first", path, pending, len(steps))
	}
	return nil
}

func withProvider(path string, use func(*goose.Provider) error) (err error) {
	// A transaction of the migrations waits for those of a server as long as
	// they wait for it.
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)", "journal_mode(wal)", "synchronous(full)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	files, err := fs.Sub(migrations.SQLite, "sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	return use(p)
}
