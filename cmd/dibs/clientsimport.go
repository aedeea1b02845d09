package main

import (
	"context"
	"io"

	"github.com/dibs-calls/dibs/importer"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/phone"
	"github.com/spf13/cobra"
)

const clientsBatch = 500

func (c *cli) clientsImportCommand() *cobra.Command {
	var dryRun bool
	var region string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Add the clients of a CSV file",
		Long: `Adds the clients of a CSV file as CRMs and dialers export it (HubSpot,
Salesforce, Google Contacts, VICIdial's list loader, 'dibs clients export');
- is standard input. Columns, separator and encoding are recognised; see
'dibs help csv'.

One number is one client: a number that came earlier in the file is named and
skipped, one that is in the store already is skipped, so an import that was
interrupted can be run again and adds only what is missing. Each bad line is
named by number and reason on standard error, the good ones are added; the exit
code is then 3.

A million rows stream in constant memory, except for about 40 bytes a row to
notice duplicates.`,
		Example: `  dibs clients import hubspot.csv --dry-run
  dibs clients import leads.csv --region GB     # 020 7946 0123 is +44 20 7946 0123
  dibs clients import leads.csv 2> bad-lines.txt
  unzip -p contacts.zip | dibs clients import -`,
		Args: exactArgs("the file (- is standard input)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !phone.ValidRegion(region) {
				return usagef("--region %q is not a region: give two capital letters, as in US or GB", region)
			}
			return c.withImportStore(cmd, dryRun, func(ctx context.Context, store persistence.Store) error {
				return importFile(ctx, c, args[0], dryRun, func(src io.Reader, r *report) (*batches[importer.ClientRow], error) {
					return clientBatches(store, src, region, r)
				})
			})
		},
	}
	cmd.Flags().StringVar(&region, "region", "US", "whose a number without a country is (two letters)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "read and check everything, add nothing")
	return cmd
}

// clientStore is what an import needs of a store.
type clientStore interface {
	ExistingClients(ctx context.Context, clients []messages.ClientID) ([]messages.ClientID, error)
	PhonesInUse(ctx context.Context, phones []string) ([]string, error)
	AddClients(ctx context.Context, clients []messages.Client) error
}

type clientImport struct {
	store  clientStore // nil in a dry run without a store
	report *report
}

func clientBatches(store persistence.Store, src io.Reader, region string, r *report) (*batches[importer.ClientRow], error) {
	clients, err := importer.NewClients(src, region)
	if err != nil {
		return nil, err
	}
	im := &clientImport{report: r}
	if store != nil {
		im.store = store
	}
	return &batches[importer.ClientRow]{
		size:   clientsBatch,
		next:   clients.Next,
		line:   func(row importer.ClientRow) int { return row.Line },
		save:   im.save,
		report: r,
	}, nil
}

// save adds those clients of a batch whose numbers and ids are not in use. If
// the store refuses the batch because of what is in it, each is tried alone, so
// that one row never keeps the others out.
func (im *clientImport) save(ctx context.Context, rows []importer.ClientRow) error {
	fresh, err := im.missing(ctx, rows)
	if err != nil {
		return err
	}
	err = im.add(ctx, fresh)
	if len(fresh) > 1 && isAboutContent(err) {
		return im.saveEach(ctx, rows)
	}
	if err != nil {
		return err
	}
	im.report.added += len(fresh)
	im.report.known += len(rows) - len(fresh)
	return nil
}

func (im *clientImport) saveEach(ctx context.Context, rows []importer.ClientRow) error {
	for i, row := range rows {
		err := im.save(ctx, rows[i:i+1])
		if isAboutContent(err) {
			im.report.badLine(&importer.BadLine{Line: row.Line, Reason: "the store refuses it: " + err.Error()})
		} else if err != nil {
			return err
		}
	}
	return nil
}

// isAboutContent reports whether a store that is well refused what it was
// given.
func isAboutContent(err error) bool {
	switch messages.CodeOf(err) {
	case messages.CodeBadRequest, messages.CodeInternal:
		return true
	}
	return false
}

func (im *clientImport) add(ctx context.Context, clients []messages.Client) error {
	if im.report.dryRun || len(clients) == 0 {
		return nil
	}
	return im.store.AddClients(ctx, clients)
}

// missing returns the clients of rows that the store does not have.
func (im *clientImport) missing(ctx context.Context, rows []importer.ClientRow) ([]messages.Client, error) {
	phones, ids, err := im.inUse(ctx, rows)
	if err != nil {
		return nil, err
	}
	clients := make([]messages.Client, 0, len(rows))
	for _, row := range rows {
		c := row.Client
		if phones[c.Phone] || ids[c.ID] {
			continue
		}
		if !c.ID.IsZero() {
			ids[c.ID] = true // twice in one batch
		}
		clients = append(clients, c)
	}
	return clients, nil
}

func (im *clientImport) inUse(ctx context.Context, rows []importer.ClientRow) (map[string]bool, map[messages.ClientID]bool, error) {
	phones, ids := make(map[string]bool), make(map[messages.ClientID]bool)
	if im.store == nil {
		return phones, ids, nil
	}
	var askPhones []string
	var askIDs []messages.ClientID
	for _, row := range rows {
		if row.Client.Phone != "" {
			askPhones = append(askPhones, row.Client.Phone)
		}
		if !row.Client.ID.IsZero() {
			askIDs = append(askIDs, row.Client.ID)
		}
	}
	used, err := im.store.PhonesInUse(ctx, askPhones)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range used {
		phones[p] = true
	}
	if len(askIDs) == 0 {
		return phones, ids, nil
	}
	existing, err := im.store.ExistingClients(ctx, askIDs)
	for _, id := range existing {
		ids[id] = true
	}
	return phones, ids, err
}
