package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup writes the store at path, as it is at one moment, to the new file to.
// Servers and commands may use the store meanwhile; none waits for it. The copy
// is for its owner alone, and on stable storage when Backup returns. A file that
// is there already is not touched.
func Backup(ctx context.Context, path, to string) (err error) {
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("%s is there already", to)
	}
	// Written under another name first: what is called to is whole.
	part, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, part.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	if err := vacuumInto(ctx, path, part.Name()); err != nil {
		return err
	}
	if err := part.Sync(); err != nil { // SQLite does not, of a copy
		return err
	}
	if err := os.Rename(part.Name(), to); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

// vacuumInto copies what a reader sees who begins now. Copying the file would
// not do: a part of what is committed stands in the write-ahead log.
func vacuumInto(ctx context.Context, path, to string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "vacuum into ?1", to)
	return err
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
