package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/dibs-calls/dibs/importer"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/spf13/cobra"
)

func (c *cli) clientsCommand() *cobra.Command {
	return newGroup("clients", "Clients who are called", `Imports and exports the clients who are called. Both can be done while a server
runs on the same store.`, c.clientsImportCommand(), c.clientsExportCommand())
}

func (c *cli) clientsExportCommand() *cobra.Command {
	var out string
	var excelSafe bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all clients as CSV",
		Long: `Writes all clients as CSV, to standard output or a file, in the order of their
ids and in constant memory. 'dibs clients import' reads it again.

Every value is written as it is in the store. Beware of spreadsheets: they take
a cell that begins with = + - @ for a formula, and a stranger may have put one
there. With --excel-safe such cells (every number, too) get an apostrophe in
front, and the file the mark by which Excel knows UTF-8. It is then for looking
at, no longer an exact copy.`,
		Example: "  dibs clients export > clients.csv\n  dibs clients export --out clients.csv\n  dibs clients export --excel-safe --out for-the-boss.csv",
		Args:    exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withStore(cmd, false, func(ctx context.Context, store persistence.Store) error {
				write := func(w io.Writer) error { return exportClients(ctx, store, w, excelSafe) }
				if out == "" || out == "-" {
					return write(c.stdout)
				}
				return writeFile(out, write)
			})
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "file to write (default: standard output)")
	cmd.Flags().BoolVar(&excelSafe, "excel-safe", false, "put an apostrophe before what a spreadsheet would take for a formula")
	return cmd
}

func exportClients(ctx context.Context, store persistence.Clients, w io.Writer, excelSafe bool) error {
	buffered := bufio.NewWriter(w)
	out, err := importer.NewClientWriter(buffered, excelSafe)
	if err != nil {
		return err
	}
	err = store.EachClient(ctx, func(client messages.Client) error { return out.Write(client) })
	return errors.Join(err, out.Flush(), buffered.Flush())
}

// writeFile writes a file that is there whole or not at all. What is no plain
// file (a pipe, /dev/stdout) is written as it is.
func writeFile(name string, write func(io.Writer) error) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".dibs-*") // 0600: it holds telephone numbers
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), name)
}
