package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "dibs",
		Short: "Nobody is called twice at once",
		Long: `dibs keeps a sales team, or a whole fleet of dialers, from calling the same
client twice at once: one client is called by at most one user, one user is on
at most one call.

To look at it, with five people and 200 clients that are made up:

  dibs serve --demo

To start in earnest:

  dibs serve                       makes an administrator, tells the password
  dibs clients import leads.csv    as HubSpot, Salesforce, Google Contacts or
                                   VICIdial export it
  dibs users import people.csv

Without a database, everything is kept in the folder ./dibs-data.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := bindEnvironment(cmd, c.env); err != nil {
				return err
			}
			c.started = true
			return nil
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&c.where.Data, "data", "./dibs-data", "folder of the built-in store (SQLite)")
	flags.StringVar(&c.where.DatabaseURL, "database-url", "", "address of a Postgres database, used instead of the folder (postgres://user:password@host/name)")
	root.AddCommand(
		c.serveCommand(), c.usersCommand(), c.clientsCommand(), c.tokenCommand(), c.auditCommand(), c.deadCommand(), c.clusterCommand(), c.benchCommand(), c.backupCommand(), c.migrateCommand(), c.versionCommand(),
		topic("exit-codes", "What the exit codes mean", exitCodesHelp),
		topic("environment", "Settings as DIBS_… variables", envHelp),
		topic("csv", "Which CSV files can be imported", csvHelp()),
	)
	return root
}

// topic is something to read: dibs help <name>.
func topic(name, short, text string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Long: text}
}

// group runs a command that only has commands below it.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("there is no command %q%s", strings.TrimSpace(cmd.CommandPath()+" "+args[0]), hint)
}

// newGroup is a command that only has commands below it.
func newGroup(name, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Long: long, Args: cobra.ArbitraryArgs, RunE: group, SuggestionsMinimumDistance: 2}
	cmd.AddCommand(commands...)
	return cmd
}
