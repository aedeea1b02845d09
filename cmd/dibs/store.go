package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dibs-calls/dibs/internal/boottime"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/dibs-calls/dibs/persistence/sqlite"
)

// storeConfig says which store is meant and what may be done to open it.
type storeConfig struct {
	Data        string // folder of the SQLite file
	DatabaseURL string // Postgres, instead of the folder
	Logger      *slog.Logger

	// Make: a store that does not exist is made; else it is errNoStore.
	Make bool
	// Upgrade: pending migrations of a store in use are applied too. Only the
	// server and dibs migrate up do that: a command must not change the schema
	// under a server of another version.
	Upgrade bool
}

// errNoStore: there is nothing where the store should be.
var errNoStore = errors.New("there is no store yet")

func (s storeConfig) path() string { return filepath.Join(s.Data, "dibs.db") }

// place names the store for people. An address may hold a password, so it is
// not repeated.
func (s storeConfig) place() string {
	if s.DatabaseURL != "" {
		return "the Postgres database"
	}
	return s.path()
}

// openStore opens the store, migrated. A new store gets its schema; see
// storeConfig.Upgrade for one that is behind.
func openStore(ctx context.Context, cfg storeConfig) (persistence.Store, error) {
	steps, err := migrationStatus(ctx, cfg)
	if isNew := errors.Is(err, errNoStore) && cfg.Make; err != nil && !isNew {
		return nil, err
	}
	migrate, err := mustMigrate(steps, cfg)
	if err != nil {
		return nil, err
	}
	if migrate {
		if _, err := migrateStore(ctx, cfg); err != nil {
			return nil, err
		}
	}
	if cfg.DatabaseURL != "" {
		return postgres.Open(ctx, postgres.Config{URL: cfg.DatabaseURL, Logger: cfg.Logger, Now: boottime.Clock()})
	}
	return sqlite.Open(ctx, sqlite.Config{Path: cfg.path(), Logger: cfg.Logger})
}

// mustMigrate says whether a store with these steps is to be migrated before it
// is opened, or why it cannot be opened at all.
func mustMigrate(steps []persistence.Migration, cfg storeConfig) (bool, error) {
	pending := persistence.Pending(steps)
	applied := len(steps) - pending
	switch {
	case applied == 0 && !cfg.Make:
		return false, noStore(cfg)
	case applied > 0 && pending > 0 && !cfg.Upgrade:
		return false, &exitError{exitUnavailable, fmt.Errorf("%s is behind this version of dibs (%d migrations are pending): run 'dibs migrate up', or start this version's server", cfg.place(), pending)}
	}
	return applied == 0 || pending > 0, nil
}

// migrationStatus returns the migrations of the store; errNoStore if there is
// no file to ask.
func migrationStatus(ctx context.Context, cfg storeConfig) ([]persistence.Migration, error) {
	if cfg.DatabaseURL != "" {
		steps, err := postgres.MigrationStatus(ctx, cfg.DatabaseURL)
		return steps, unreachable(err)
	}
	if _, err := os.Stat(cfg.path()); errors.Is(err, fs.ErrNotExist) {
		return nil, noStore(cfg)
	} else if err != nil {
		return nil, unreachable(err)
	}
	steps, err := sqlite.MigrationStatus(ctx, cfg.path())
	return steps, unreachable(err)
}

// migrateStore brings the store up to date, making it where there is none.
func migrateStore(ctx context.Context, cfg storeConfig) ([]persistence.Migration, error) {
	if cfg.DatabaseURL != "" {
		applied, err := postgres.Migrate(ctx, cfg.DatabaseURL)
		return applied, unreachable(err)
	}
	if err := makePrivate(cfg); err != nil {
		return nil, unreachable(err)
	}
	applied, err := sqlite.Migrate(ctx, cfg.path())
	return applied, unreachable(err)
}

// makePrivate makes folder and file for their owner alone: telephone numbers
// are nobody else's business. An empty file is a new SQLite store.
func makePrivate(cfg storeConfig) error {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(cfg.path(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func noStore(cfg storeConfig) error {
	if cfg.DatabaseURL != "" {
		return fmt.Errorf("%w: the database is empty (is --database-url the right one?); 'dibs migrate up' makes it one", errNoStore)
	}
	return fmt.Errorf("%w: %s does not exist (is --data the right folder?); 'dibs migrate up' makes it", errNoStore, cfg.path())
}

// unreachable gives what kept the store from being opened the exit code that
// says so, unless it is the caller's own doing.
func unreachable(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if messages.CodeOf(err) == messages.CodeBadRequest {
		return &usageError{err}
	}
	return &exitError{exitUnavailable, err}
}
