package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/spf13/cobra"
)

// cli is what commands work with. Everything outside the process comes from
// here.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(name string) (string, bool)

	open   func(ctx context.Context, cfg storeConfig) (persistence.Store, error)
	serve  func(ctx context.Context, cfg serveConfig, ln net.Listener, store persistence.Store, log *slog.Logger, ready func(url string)) error
	hashes auth.Params
	by     string // who runs it, on the audit trail

	// where is bound to the flags that all commands share.
	where storeConfig
	// started is set when the command itself begins: what fails before that
	// is the command line's fault.
	started bool
}

// run carries out one command line and returns its exit code. It is the whole
// program but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) (string, bool)) int {
	c := &cli{
		stdin: stdin, stdout: stdout, stderr: stderr, env: env,
		open: openStore, serve: runServer, hashes: auth.DefaultParams(), by: byCLI(),
	}
	return c.run(ctx, args)
}

func (c *cli) run(ctx context.Context, args []string) int {
	root := c.rootCommand()
	root.SetArgs(args)
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var usage *usageError
	if !c.started && !errors.As(err, &usage) {
		err = &usageError{err}
	}
	if text := err.Error(); text != "" {
		_, _ = fmt.Fprintf(c.stderr, "dibs: %s\n", text)
	}
	code := exitCode(err)
	if code == exitUsage {
		_, _ = fmt.Fprintf(c.stderr, "See '%s --help'.\n", cmd.CommandPath())
	}
	return code
}

// withStore opens the store, gives it to f and closes it.
func (c *cli) withStore(cmd *cobra.Command, make bool, f func(ctx context.Context, store persistence.Store) error) (err error) {
	cfg := c.where
	cfg.Make = make
	cfg.Logger = slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store, err := c.open(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return f(cmd.Context(), store)
}

// passwords makes what hashes passwords, for all CPUs at once.
func (c *cli) passwords() (*auth.Passwords, error) {
	return auth.NewPasswords(c.hashes, auth.DefaultMemoryBudget)
}
