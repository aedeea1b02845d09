package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

const maxKeyName = 100 // bytes

func (c *cli) tokenCommand() *cobra.Command {
	return newGroup("token", "API keys of dialers and other programs", `Makes, lists and revokes API keys: what a dialer or another program signs its
requests with (Authorization: Bearer …).`, c.tokenCreateCommand(), c.tokenListCommand(), c.tokenRevokeCommand())
}

func (c *cli) tokenCreateCommand() *cobra.Command {
	var role, name string
	var rate float64
	cmd := &cobra.Command{
		Use:   "create --role service --name NAME",
		Short: "Make an API key and print it, once",
		Long: `Makes an API key and prints it, and nothing else, on standard output. It is shown
this once: the store keeps only a digest of it.

  service   acts for the user whom each request names
  admin     besides, may do what an administrator may

A key has no rate limit unless --rate-limit sets one.`,
		Example: `  dibs token create --role service --name dialer-1
  KEY=$(dibs token create --role service --name dialer-1 --rate-limit 500)`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := newAPIKey(role, name, rate)
			if err != nil {
				return err
			}
			return c.withStore(cmd, true, func(ctx context.Context, store persistence.Store) error {
				return c.createToken(ctx, store, key)
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "service", "service or admin")
	cmd.Flags().StringVar(&name, "name", "", "what the key is for; shown in lists and on the audit trail (required)")
	cmd.Flags().Float64Var(&rate, "rate-limit", 0, "requests a second that the key may make; 0: no limit")
	return cmd
}

func newAPIKey(role, name string, rate float64) (messages.APIKey, error) {
	key := messages.APIKey{ID: uuid.New(), Name: strings.TrimSpace(name), Role: messages.Role(role), RateLimit: rate}
	switch {
	case key.Name == "":
		return key, usagef("--name is missing: say what the key is for")
	case len(key.Name) > maxKeyName:
		return key, usagef("--name has more than %d bytes", maxKeyName)
	case key.Role != messages.RoleService && key.Role != messages.RoleAdmin:
		return key, usagef("--role %q: a key is of role service or admin; people get accounts with 'dibs users add'", role)
	case rate < 0 || math.IsNaN(rate) || math.IsInf(rate, 0):
		return key, usagef("--rate-limit %v: give a number of requests a second, or 0 for no limit", rate)
	}
	return key, nil
}

func (c *cli) createToken(ctx context.Context, store persistence.Tokens, key messages.APIKey) error {
	secret, digest := auth.NewAPIKey()
	if err := store.AddAPIKey(ctx, digest, key, c.audit("api_key.created", "key:"+key.ID.String(), nil)); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(c.stderr, "key %s (%s): keep what follows, it is not shown again\n", key.ID, key.Name)
	_, err := fmt.Fprintln(c.stdout, secret)
	return err
}

func (c *cli) tokenListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List API keys, revoked ones too (never the keys themselves)",
		Args:  exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd, false, func(ctx context.Context, store persistence.Store) error {
				keys, err := store.ListAPIKeys(ctx)
				if err != nil {
					return err
				}
				t := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
				_, _ = fmt.Fprintln(t, "ID\tNAME\tROLE\tRATE LIMIT\tCREATED\tREVOKED")
				for _, k := range keys {
					_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Role, rateText(k.RateLimit), timeText(&k.CreatedAt, ""), timeText(k.RevokedAt, "-"))
				}
				return t.Flush() // it keeps the first error
			})
		},
	}
}

func rateText(rate float64) string {
	if rate == 0 {
		return "none"
	}
	return fmt.Sprintf("%g/s", rate)
}

func (c *cli) tokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "End an API key",
		Long:    "Ends an API key. Requests with it are refused from then on, by a running server\nwithin seconds.",
		Example: "  dibs token list\n  dibs token revoke 3f0c1f6e-6a0e-4b8e-9f43-0b1f5f1f7c55",
		Args:    exactArgs("the id of the key (see 'dibs token list')"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := messages.ParseID(args[0])
			if err != nil {
				return usagef("the id of the key: %w (see 'dibs token list')", err)
			}
			return c.withStore(cmd, false, func(ctx context.Context, store persistence.Store) error {
				err := store.RevokeAPIKey(ctx, id, c.audit("api_key.revoked", "key:"+id.String(), nil))
				if messages.CodeOf(err) == messages.CodeNotFound {
					return fmt.Errorf("there is no key %s (see 'dibs token list')", id)
				}
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.stdout, "revoked %s\n", id)
				return err
			})
		},
	}
}
