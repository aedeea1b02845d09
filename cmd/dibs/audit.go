package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/spf13/cobra"
)

func (c *cli) auditCommand() *cobra.Command {
	return newGroup("audit", "Who did what to others", `Shows the audit trail: calls that were ended for somebody, people who were
added, disabled, enabled or given a password, clients that were imported or
deleted, keys that were made and revoked; and who did it. An import has an entry
for each of its batches, which have the import's id in common.`,
		c.auditListCommand())
}

func (c *cli) auditListCommand() *cobra.Command {
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the audit trail, the newest first",
		Example: "  dibs audit list --limit 20\n  dibs audit list --json | jq -r 'select(.action == \"call.force_released\") | .by'",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit %d: give a number from 1 on", limit)
			}
			return c.withStore(cmd, false, func(ctx context.Context, store persistence.Store) error {
				trail, err := store.AuditTrail(ctx, limit)
				if err != nil {
					return err
				}
				if asJSON {
					return c.printAuditJSON(trail)
				}
				return c.printAudit(trail)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "how many entries at most")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func (c *cli) printAudit(trail []messages.Audit) error {
	t := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "AT\tBY\tACTION\tSUBJECT\tDETAIL")
	for _, a := range trail {
		detail := "-"
		if len(a.Detail) > 0 {
			detail = string(a.Detail) // JSON: it cannot break the table
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", timeText(&a.At, ""), a.By, a.Action, a.Subject, detail)
	}
	return t.Flush() // it keeps the first error
}

func (c *cli) printAuditJSON(trail []messages.Audit) error {
	e := json.NewEncoder(c.stdout)
	for _, a := range trail {
		if err := e.Encode(a); err != nil {
			return err
		}
	}
	return nil
}
