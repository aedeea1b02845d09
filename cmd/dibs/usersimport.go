package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/importer"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// usersBatch is small because hashing its passwords takes a second.
const usersBatch = 64

func (c *cli) usersImportCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add the people of a CSV file",
		Long: `Adds the people of a CSV file; - is standard input. Its first line names the
columns, in any order:

  email       required
  first_name, last_name (or name)
  role        user (also where it is empty) or admin
  password    empty: the person cannot sign in until one is set

Whoever is in the store already is left alone, so an import that was interrupted
can be run again. Each bad line is named on standard error, the good ones are
added; the exit code is then 3. Passwords are hashed, which is slow on purpose:
count on twenty or more a second and CPU.

'dibs help csv' says more about files.`,
		Example: "  dibs users import people.csv --dry-run\n  dibs users import people.csv",
		Args:    exactArgs("the file (- is standard input)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withImportStore(cmd, dryRun, func(ctx context.Context, store persistence.Store) error {
				return importFile(ctx, c, args[0], dryRun, func(src io.Reader, r *report) (*batches[importer.UserRow], error) {
					return c.userBatches(ctx, store, src, c.newImportTrail(args[0]), r)
				})
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "read and check everything, add nothing")
	return cmd
}

// withImportStore is withStore, except that a dry run makes no store: where
// there is none, f gets nil.
func (c *cli) withImportStore(cmd *cobra.Command, dryRun bool, f func(ctx context.Context, store persistence.Store) error) error {
	err := c.withStore(cmd, !dryRun, f)
	if dryRun && errors.Is(err, errNoStore) {
		return f(cmd.Context(), nil)
	}
	return err
}

// userImport adds people. Who is in the store is asked once: accounts are few
// beside clients.
type userImport struct {
	store     persistence.People // nil in a dry run without a store
	passwords *auth.Passwords
	known     map[string]bool // e-mail addresses in lower case
	trail     importTrail
	report    *report
}

func (c *cli) userBatches(ctx context.Context, store persistence.Store, src io.Reader, trail importTrail, r *report) (*batches[importer.UserRow], error) {
	users, err := importer.NewUsers(src)
	if err != nil {
		return nil, err
	}
	if ignored := users.Ignored(); len(ignored) > 0 {
		r.say(fmt.Errorf("columns that are not read: %s", strings.Join(ignored, ", ")))
	}
	im := &userImport{trail: trail, report: r}
	if store != nil {
		im.store = store
	}
	if im.passwords, err = c.passwords(); err != nil {
		return nil, err
	}
	if err := im.ask(ctx); err != nil {
		return nil, err
	}
	return &batches[importer.UserRow]{
		size:   usersBatch,
		next:   func() (importer.UserRow, error) { return checked(users.Next()) },
		line:   func(row importer.UserRow) int { return row.Line },
		save:   im.save,
		report: r,
	}, nil
}

// checked finds passwords that cannot be set before any is hashed.
func checked(row importer.UserRow, err error) (importer.UserRow, error) {
	if err != nil || row.Password == "" {
		return row, err
	}
	if err := auth.CheckPassword(row.Password); err != nil {
		return row, &importer.BadLine{Line: row.Line, Reason: sentence(err).Error()}
	}
	return row, nil
}

// ask learns who is in the store.
func (im *userImport) ask(ctx context.Context) error {
	im.known = make(map[string]bool)
	if im.store == nil {
		return nil
	}
	accounts, err := im.store.ListUsers(ctx)
	for _, a := range accounts {
		im.known[strings.ToLower(a.Email)] = true
	}
	return err
}

// save adds one batch, all or none. Somebody else may add one of them at the
// same time; then it asks again and adds the others.
func (im *userImport) save(ctx context.Context, rows []importer.UserRow) error {
	fresh, err := im.hashed(ctx, im.missing(rows))
	if err != nil {
		return err
	}
	for tries := 3; ; tries-- {
		if im.report.dryRun || len(fresh) == 0 {
			break
		}
		entry := im.trail.entry("users.imported", rows[0].Line, rows[len(rows)-1].Line, len(fresh))
		_, err = im.store.AddUsers(ctx, fresh, entry)
		if err == nil {
			break
		}
		if messages.CodeOf(err) != messages.CodeEmailTaken || tries == 0 {
			return err
		}
		if err := im.ask(ctx); err != nil {
			return err
		}
		fresh = slices.DeleteFunc(fresh, func(u messages.NewUser) bool { return im.known[strings.ToLower(u.Email)] })
	}
	im.report.added += len(fresh)
	im.report.known += len(rows) - len(fresh)
	return nil
}

func (im *userImport) missing(rows []importer.UserRow) []importer.UserRow {
	var missing []importer.UserRow
	for _, row := range rows {
		if !im.known[strings.ToLower(row.User.Email)] {
			missing = append(missing, row)
		}
	}
	return missing
}

// hashed makes accounts of rows, on all CPUs. A dry run hashes nothing.
func (im *userImport) hashed(ctx context.Context, rows []importer.UserRow) ([]messages.NewUser, error) {
	users := make([]messages.NewUser, len(rows))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, row := range rows {
		users[i].User = row.User
		if row.Password == "" || im.report.dryRun {
			continue
		}
		g.Go(func() (err error) {
			users[i].PasswordHash, err = im.passwords.Hash(ctx, row.Password)
			return err
		})
	}
	return users, g.Wait()
}
