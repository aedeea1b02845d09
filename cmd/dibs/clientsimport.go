package main

import (
	"context"
	"errors"
	"io"

	"github.com/dibs-calls/dibs/importer"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/phone"
	"github.com/spf13/cobra"
)

const clientsBatch = 500

const clientsImportHelp = `Adds the clients of a CSV file as CRMs and dialers export it (HubSpot,
Salesforce, Google Contacts, VICIdial's list loader, 'dibs clients export');
- is standard input. Columns, separator and encoding are recognised; see
'dibs help csv'.

One number is one client: a number that came earlier in the file is named and
skipped, one that is in the store already is skipped, so an import that was
interrupted can be run again and adds only what is missing. Each bad line is
named by number and reason on standard error, the good ones are added; the exit
code is then 3.

With --update a client who is in the store already, by number, is changed
instead: name, e-mail address, notes and those attributes that the file has
columns for. An empty cell changes nothing, and nothing is ever taken away. A
number that several clients share is named, and changes none of them. A row of
'dibs clients export' means the client with its id, and may change the number.

A million rows stream in constant memory, except for about 40 bytes a row to
notice duplicates.`

func (c *cli) clientsImportCommand() *cobra.Command {
	var dryRun, update bool
	var region string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add, or update, the clients of a CSV file",
		Long:  clientsImportHelp,
		Example: `  dibs clients import hubspot.csv --dry-run
  dibs clients import leads.csv --region GB     # 020 7946 0123 is +44 20 7946 0123
  dibs clients import leads.csv 2> bad-lines.txt
  dibs clients import hubspot.csv --update --dry-run   # how many would change?
  unzip -p contacts.zip | dibs clients import -`,
		Args: exactArgs("the file (- is standard input)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !phone.ValidRegion(region) {
				return usagef("--region %q is not a region: give two capital letters, as in US or GB", region)
			}
			return c.withImportStore(cmd, dryRun, func(ctx context.Context, store persistence.Store) error {
				return importFile(ctx, c, args[0], dryRun, func(src io.Reader, r *report) (*batches[importer.ClientRow], error) {
					im := &clientImport{update: update, trail: c.newImportTrail(args[0]), report: r}
					if store != nil {
						im.store = store
					}
					r.updates = update
					return im.batches(src, region)
				})
			})
		},
	}
	cmd.Flags().StringVar(&region, "region", "US", "whose a number without a country is (two letters)")
	cmd.Flags().BoolVar(&update, "update", false, "change the clients who are in the store already")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "read and check everything, change nothing")
	return cmd
}

// clientStore is what an import needs of a store.
type clientStore interface {
	FindClients(ctx context.Context, ids []messages.ClientID, phones []string) ([]messages.Client, error)
	AddClients(ctx context.Context, clients []messages.Client, audit ...messages.Audit) error
	UpdateClients(ctx context.Context, patches []messages.ClientPatch, audit ...messages.Audit) ([]messages.Client, error)
}

type clientImport struct {
	store  clientStore // nil in a dry run without a store
	update bool        // clients who are there are changed
	trail  importTrail
	report *report
}

func (im *clientImport) batches(src io.Reader, region string) (*batches[importer.ClientRow], error) {
	clients, err := importer.NewClients(src, region)
	if err != nil {
		return nil, err
	}
	return &batches[importer.ClientRow]{
		size:   clientsBatch,
		next:   func() (importer.ClientRow, error) { return im.warned(clients.Next()) },
		line:   func(row importer.ClientRow) int { return row.Line },
		save:   im.save,
		report: im.report,
	}, nil
}

// warned says what of a row could not be read, and is kept as something else.
func (im *clientImport) warned(row importer.ClientRow, err error) (importer.ClientRow, error) {
	if err == nil && row.Warning != "" {
		im.report.say(errors.New(row.Warning))
	}
	return row, err
}

// save adds those clients of a batch who are not in the store, and changes the
// others if that is wanted.
func (im *clientImport) save(ctx context.Context, rows []importer.ClientRow) error {
	p, err := im.plan(ctx, rows)
	if err != nil {
		return err
	}
	err = eachOrAll(im.report, p.fresh, func(row importer.ClientRow) int { return row.Line },
		func(rows []importer.ClientRow) error { return im.add(ctx, rows) })
	if err != nil {
		return err
	}
	err = eachOrAll(im.report, p.changed, func(c clientChange) int { return c.line },
		func(changes []clientChange) error { return im.change(ctx, changes) })
	if err != nil {
		return err
	}
	for _, bad := range p.bad {
		im.report.badLine(bad)
	}
	im.report.known += p.known
	return nil
}

func (im *clientImport) add(ctx context.Context, rows []importer.ClientRow) error {
	if !im.report.dryRun {
		clients := make([]messages.Client, len(rows))
		for i, row := range rows {
			clients[i] = row.Client
		}
		entry := im.trail.entry("clients.imported", rows[0].Line, rows[len(rows)-1].Line, len(rows))
		if err := im.store.AddClients(ctx, clients, entry); err != nil {
			return err
		}
	}
	im.report.added += len(rows)
	return nil
}

func (im *clientImport) change(ctx context.Context, changes []clientChange) error {
	if im.report.dryRun {
		im.report.updated += len(changes)
		return nil
	}
	patches := make([]messages.ClientPatch, len(changes))
	for i, c := range changes {
		patches[i] = c.patch
	}
	entry := im.trail.entry("clients.updated", changes[0].line, changes[len(changes)-1].line, len(changes))
	changed, err := im.store.UpdateClients(ctx, patches, entry)
	if err != nil {
		return err
	}
	im.report.updated += len(changed)
	if len(changed) == len(changes) {
		return nil
	}
	there := make(map[messages.ClientID]bool, len(changed))
	for _, c := range changed {
		there[c.ID] = true
	}
	for _, c := range changes {
		if !there[c.patch.ID] {
			im.report.badLine(&importer.BadLine{Line: c.line, Reason: "the client was deleted a moment ago; import again to add it anew"})
		}
	}
	return nil
}
