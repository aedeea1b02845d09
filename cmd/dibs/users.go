package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/dibs-calls/dibs/importer"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

func (c *cli) usersCommand() *cobra.Command {
	return newGroup("users", "People who make calls", `Adds, imports, lists, disables and enables the people who make calls.

All of it can be done while a server runs on the same store. A person is named
by their e-mail address.`,
		c.usersAddCommand(), c.usersImportCommand(), c.usersListCommand(), c.usersPasswdCommand(),
		c.usersDisableCommand(), c.usersEnableCommand())
}

func (c *cli) usersAddCommand() *cobra.Command {
	var user messages.User
	var role string
	var fromStdin, none bool
	cmd := &cobra.Command{
		Use:   "add EMAIL",
		Short: "Add one person",
		Long: `Adds one person. The password is asked for at the terminal, or read from the
first line of standard input with --password-stdin. It is never an argument:
arguments are seen by every program on the machine.`,
		Example: `  dibs users add ana@example.com --first-name Ana --last-name Alvarez
  dibs users add boss@example.com --role admin
  pass show dibs/ana | dibs users add ana@example.com --password-stdin
  dibs users add temp@example.com --no-password   # cannot sign in until 'dibs users passwd'`,
		Args: exactArgs("the e-mail address"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if user.Email, err = importer.Email(args[0]); err != nil {
				return &usageError{err}
			}
			if user.Role, err = importer.PersonRole(role); err != nil {
				return &usageError{err}
			}
			if err = importer.PersonName(user.FirstName, user.LastName); err != nil {
				return &usageError{err}
			}
			if fromStdin && none {
				return usagef("--password-stdin and --no-password cannot go together")
			}
			hash := ""
			if !none {
				if hash, err = c.askHash(cmd.Context(), fromStdin); err != nil {
					return err
				}
			}
			return c.withStore(cmd, true, func(ctx context.Context, store persistence.Store) error {
				return c.addUser(ctx, store, messages.NewUser{User: user, PasswordHash: hash})
			})
		},
	}
	cmd.Flags().StringVar(&user.FirstName, "first-name", "", "first name")
	cmd.Flags().StringVar(&user.LastName, "last-name", "", "last name")
	cmd.Flags().StringVar(&role, "role", "user", "user, or admin: may also release other people's calls")
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input")
	cmd.Flags().BoolVar(&none, "no-password", false, "no password: the person cannot sign in until one is set")
	return cmd
}

// askHash asks for a password and returns its hash.
func (c *cli) askHash(ctx context.Context, fromStdin bool) (string, error) {
	password, err := c.newPassword(ctx, fromStdin)
	if err != nil {
		return "", err
	}
	passwords, err := c.passwords()
	if err != nil {
		return "", err
	}
	return passwords.Hash(ctx, password)
}

func (c *cli) addUser(ctx context.Context, store persistence.People, user messages.NewUser) error {
	user.ID = messages.UserID{UUID: uuid.New()}
	audit := c.audit("user.added", userSubject(user.ID), map[string]any{"role": user.Role})
	added, err := store.AddUsers(ctx, []messages.NewUser{user}, audit)
	if messages.CodeOf(err) == messages.CodeEmailTaken {
		return fmt.Errorf("there is a user %s already", user.Email)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "added %s %s (%s)\n", added[0].Role, added[0].Email, added[0].ID)
	return err
}

func (c *cli) usersListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List everybody, disabled people too",
		Example: "  dibs users list\n  dibs users list --json | jq -r '.email'",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd, false, func(ctx context.Context, store persistence.Store) error {
				accounts, err := store.ListUsers(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return c.printUsersJSON(accounts)
				}
				return c.printUsers(accounts)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func (c *cli) printUsers(accounts []messages.Account) error {
	t := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "EMAIL\tNAME\tROLE\tSTATE\tID")
	for _, a := range accounts {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", a.Email, messages.DisplayName(a.FirstName, a.LastName, "-"), a.Role, state(a), a.ID)
	}
	return t.Flush() // it keeps the first error
}

func (c *cli) printUsersJSON(accounts []messages.Account) error {
	e := json.NewEncoder(c.stdout)
	for _, a := range accounts {
		line := struct {
			messages.User
			State string `json:"state"`
		}{a.User, state(a)}
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func state(a messages.Account) string {
	switch {
	case a.Disabled:
		return "disabled"
	case a.PasswordHash == "":
		return "no password"
	}
	return "active"
}

// findUser finds somebody by e-mail address or id.
func findUser(ctx context.Context, store persistence.People, name string) (account messages.Account, err error) {
	var id uuid.UUID
	if id, err = messages.ParseID(name); err == nil {
		account, err = store.UserByID(ctx, messages.UserID{UUID: id})
	} else {
		account, err = store.UserByEmail(ctx, name)
	}
	if messages.CodeOf(err) == messages.CodeUserNotFound {
		return account, fmt.Errorf("there is no user %s", name)
	}
	return account, err
}

// sentence is what an error that may be told to the outside says to a person.
func sentence(err error) error {
	var e *messages.Error
	if errors.As(err, &e) && e.Sentence != "" && e.Cause == nil {
		return errors.New(e.Sentence)
	}
	return err
}
