package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/dibs-calls/dibs/persistence"
	"github.com/spf13/cobra"
)

func (c *cli) migrateCommand() *cobra.Command {
	return newGroup("migrate", "The schema of the store", `Shows and applies the steps by which the schema of the store is made.

You hardly ever need it: a new store gets its schema from the first command that
needs one, and 'dibs serve' brings an old one up to date when it starts, under a
lock, so that several servers may start at once.`, c.migrateStatusCommand(), c.migrateUpCommand())
}

func (c *cli) migrateStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "List the steps, and which were applied when",
		Example: "  dibs migrate status\n  dibs migrate status --database-url postgres://localhost/dibs",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			steps, err := migrationStatus(cmd.Context(), c.where)
			if errors.Is(err, errNoStore) {
				_, err = fmt.Fprintf(c.stdout, "%v\n", err)
				return err
			}
			if err != nil {
				return err
			}
			return c.printMigrations(steps)
		},
	}
}

func (c *cli) migrateUpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Apply the steps that are pending",
		Long: `Applies the steps that are pending, each in a transaction, under a lock. It can
be repeated. Look into the changelog before you do it to a store that is in use:
it names migrations first.`,
		Example: "  dibs migrate up",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			applied, err := migrateStore(cmd.Context(), c.where)
			if err != nil {
				return err
			}
			if len(applied) == 0 {
				_, err = fmt.Fprintf(c.stdout, "%s is up to date\n", c.where.place())
				return err
			}
			return c.printMigrations(applied)
		},
	}
}

func (c *cli) printMigrations(steps []persistence.Migration) error {
	t := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "VERSION\tNAME\tAPPLIED")
	for _, s := range steps {
		_, _ = fmt.Fprintf(t, "%d\t%s\t%s\n", s.Version, s.Name, timeText(s.AppliedAt, "pending"))
	}
	return t.Flush() // it keeps the first error
}

func timeText(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return t.UTC().Format(time.RFC3339)
}
