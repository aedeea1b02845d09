package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/spf13/cobra"
)

func (c *cli) usersDisableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "disable EMAIL…",
		Short: "Keep people from signing in and from starting calls",
		Long: `Keeps people from signing in and from starting calls, and ends their sessions.
A call in progress goes on. What they did stays in the store. 'dibs users
enable' takes it back.`,
		Example: "  dibs users disable dan@example.com",
		Args:    someEmails,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.eachUser(cmd, args, c.disable)
		},
	}
}

func (c *cli) disable(ctx context.Context, store persistence.People, account messages.Account) error {
	audit := c.audit("user.disabled", userSubject(account.ID), nil)
	if err := store.DisableUser(ctx, account.ID, audit); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "disabled %s\n", account.Email)
	return err
}

func (c *cli) usersEnableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "enable EMAIL…",
		Short: "Let people who were disabled sign in again",
		Long: `Lets people who were disabled sign in and start calls again, with the password
that they had. Somebody who was not disabled stays as they are.`,
		Example: "  dibs users enable dan@example.com",
		Args:    someEmails,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.eachUser(cmd, args, c.enable)
		},
	}
}

func (c *cli) enable(ctx context.Context, store persistence.People, account messages.Account) error {
	audit := c.audit("user.enabled", userSubject(account.ID), nil)
	if err := store.EnableUser(ctx, account.ID, audit); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "enabled %s\n", account.Email)
	return err
}

func someEmails(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("the e-mail address is missing")
	}
	return nil
}

// eachUser does something to each of the people named. One who is not there
// does not keep it from the others.
func (c *cli) eachUser(cmd *cobra.Command, names []string, do func(context.Context, persistence.People, messages.Account) error) error {
	return c.withStore(cmd, false, func(ctx context.Context, store persistence.Store) error {
		var all error
		for _, name := range names {
			account, err := findUser(ctx, store, name)
			if err == nil {
				err = do(ctx, store, account)
			}
			all = errors.Join(all, err)
		}
		return all
	})
}

func (c *cli) usersPasswdCommand() *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "passwd EMAIL",
		Short: "Set a person's password",
		Long:  "Sets a person's password, asked for as by 'dibs users add', and ends their\nsessions.",
		Example: `  dibs users passwd ana@example.com
  pass show dibs/ana | dibs users passwd ana@example.com --password-stdin`,
		Args: exactArgs("the e-mail address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withStore(cmd, false, func(ctx context.Context, store persistence.Store) error {
				account, err := findUser(ctx, store, args[0])
				if err != nil {
					return err
				}
				hash, err := c.askHash(ctx, fromStdin)
				if err != nil {
					return err
				}
				audit := c.audit("user.password_set", userSubject(account.ID), nil)
				if err := store.SetPassword(ctx, account.ID, hash, audit); err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.stdout, "set the password of %s\n", account.Email)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input")
	return cmd
}
