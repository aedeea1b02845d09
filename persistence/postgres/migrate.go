package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/dibs-calls/dibs/migrations"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/internal/schema"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// The lock of the migrations: looked for each second, for five minutes.
const (
	lockEverySeconds = 1
	lockTries        = 300
)

// Migrate brings the schema up to date and returns what it applied. It can be
// repeated. Processes that call it at the same time wait for each other, and
// each file is applied once.
func Migrate(ctx context.Context, url string) (applied []persistence.Migration, err error) {
	err = withProvider(url, func(p *goose.Provider) (err error) {
		applied, err = schema.Up(ctx, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("migrate the database: %w", wrap(err))
	}
	return applied, nil
}

// MigrationStatus returns all migrations in order, the pending ones too.
func MigrationStatus(ctx context.Context, url string) (all []persistence.Migration, err error) {
	err = withProvider(url, func(p *goose.Provider) (err error) {
		all, err = schema.Status(ctx, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the migrations of the database: %w", wrap(err))
	}
	return all, nil
}

func withProvider(url string, use func(*goose.Provider) error) (err error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	// The library keeps times without a zone.
	cfg.RuntimeParams["timezone"] = "UTC"
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := newProvider(db)
	if err != nil {
		return err
	}
	return use(p)
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations.Postgres, "postgres")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockEverySeconds, lockTries))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
}
