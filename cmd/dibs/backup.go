package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/sqlite"
	"github.com/spf13/cobra"
)

// tokensRaised is how far the tokens of each client go up after a restore: more
// calls than one client gets between a backup and the next.
const tokensRaised = 1_000_000

func (c *cli) backupCommand() *cobra.Command {
	return newGroup("backup", "Copies of the store, and what to do after one was put back", `Copies the built-in store while it is used, and readies a store that was put back
from a copy, of whatever kind. A Postgres database is copied with pg_dump or
pg_basebackup. docs/operations.md has the whole of it, for both.`, c.backupMakeCommand(), c.backupRestoredCommand())
}

func (c *cli) backupMakeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "make <file>",
		Short: "Copy the built-in store to a new file",
		Long: `Copies the built-in store (SQLite), as it is at one moment, to a new file. The
server goes on meanwhile, and nobody waits. What was acknowledged before the
command began is in the copy; the copy is on stable storage when it ends.

Copying dibs.db by other means while the server runs gives a file that may be
broken, or lack the newest calls: part of what is committed is in dibs.db-wal.

To put a copy back, make it the file dibs.db of a folder that has no other
dibs.db* files, and run 'dibs backup restored' there.`,
		Example: "  dibs backup make /backup/dibs-$(date +%F).db",
		Args:    exactArgs("the file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if c.where.DatabaseURL != "" {
				return usagef("this store is a Postgres database: copy it with pg_dump or pg_basebackup (docs/operations.md says how)")
			}
			if _, err := os.Stat(c.where.path()); errors.Is(err, fs.ErrNotExist) {
				return noStore(c.where)
			}
			if err := sqlite.Backup(cmd.Context(), c.where.path(), args[0]); err != nil {
				return fmt.Errorf("the copy was not made: %w", err)
			}
			_, err := fmt.Fprintf(c.stdout, "%s is a copy of %s\n", args[0], c.where.path())
			return err
		},
	}
}

func (c *cli) backupRestoredCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restored",
		Short: "Ready a store that was put back from a copy",
		Long: `Run it once, after a copy was put back and before a server starts on it. What
happened after the copy was made is forgotten, and that has two dangers:

  - Fencing tokens that were given out in that time would be given out again, and
    whoever compares them would take an old call for a new one. So the next call
    of each client gets a token that is a million higher.
  - Whoever signed out or was signed out in that time would be signed in again. So
    all sessions end: everybody signs in once more.

People who were disabled and keys that were revoked in that time are as they were
when the copy was made: 'dibs users list', 'dibs token list'. Calls that were in
progress are in progress: their users, an administrator or the lease end them.`,
		Example: "  dibs backup restored --data ./restored\n  dibs backup restored --database-url postgres://db.internal/restored",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd, false, func(ctx context.Context, store persistence.Store) error {
				s, ok := store.(interface {
					Restored(ctx context.Context, raise int64, audit messages.Audit) error
				})
				if !ok {
					return errors.New("this store cannot be put back")
				}
				if err := s.Restored(ctx, tokensRaised, c.audit("store.restored", "store", nil)); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.stdout, "%s is ready: tokens go on a million higher, and everybody signs in anew\n", c.where.place())
				return err
			})
		},
	}
}
