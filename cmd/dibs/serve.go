package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/internal/heap"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/gofrs/flock"
	"github.com/spf13/cobra"
)

func (c *cli) serveCommand() *cobra.Command {
	var cfg serveConfig
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Start the server",
		Long: `Starts the server. Without --database-url it keeps everything in the folder
--data, as safely as a database does. Every flag is also a DIBS_… variable
('dibs help environment').

The first start with nobody in the store makes an administrator and prints a
one-time password, once. The schema of the store is brought up to date.

It does not listen beyond this machine without TLS, unless --behind-proxy says
that something in front speaks TLS, and never while the demo's people, whose
password everybody knows, can sign in. /metrics needs no token: a proxy in front
should keep it inside.

With --database-url the folder --data is still used: it holds the event stream
(nats/), unless --nats-url names a NATS server.

SIGTERM or Ctrl-C stops it cleanly: it accepts nothing new, finishes what is
under way, and ends with 0. Killed at any moment, it loses nothing that was
acknowledged.

It sends OpenTelemetry traces if OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT)
says where to, or OTEL_TRACES_EXPORTER is otlp; the other OTEL_… variables for
traces say how.`,
		Example: `  dibs serve --demo
  dibs serve --database-url postgres://dibs@db.internal/dibs --listen 10.0.0.5:8443 \
             --tls-cert cert.pem --tls-key key.pem
  DIBS_LISTEN=127.0.0.1:9000 DIBS_BEHIND_PROXY=true dibs serve`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Store, cfg.Tracing = c.where, tracingOf(c.env)
			if err := cfg.check(); err != nil {
				return err
			}
			err := c.runServe(cmd.Context(), cfg)
			if cmd.Context().Err() != nil && errors.Is(err, context.Canceled) {
				return nil // told to stop before it had begun
			}
			return err
		},
	}
	cfg.bind(cmd.Flags())
	return cmd
}

func (c *cli) runServe(ctx context.Context, cfg serveConfig) (err error) {
	defer runtime.KeepAlive(heap.Floor())
	log := cfg.logger(c.stderr)
	cfg.Store.Logger, cfg.Store.Make, cfg.Store.Upgrade = log, true, true
	// Before the store is opened, because that brings its schema up to date:
	// not under a server that runs.
	unlock, err := lockFolder(cfg.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	// Before the administrator is made: the password of a start that fails
	// would be told once, to a log that nobody keeps. Who connects from now on
	// waits until the server accepts.
	ln, err := listen(ctx, cfg.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = ln.Close() }() // the server has closed it, if it came to one
	store, err := c.open(ctx, cfg.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	passwords, err := c.passwords()
	if err != nil {
		return err
	}
	secret, err := prepare(ctx, cfg, store, passwords, log)
	if err != nil {
		return err
	}
	if secret != "" {
		if err := c.printFirstPassword(cfg.AdminEmail, secret); err != nil {
			return err
		}
	}
	return c.serve(ctx, cfg, ln, store, log, func(url string) { c.printReady(cfg, url) })
}

// prepare puts into the store what must be there before anybody can sign in,
// and refuses a store that must not be shown to a network. It returns the
// password of the administrator, if it made one.
func prepare(ctx context.Context, cfg serveConfig, store persistence.Store, passwords *auth.Passwords, log *slog.Logger) (secret string, err error) {
	accounts, err := store.ListUsers(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case cfg.Demo:
		return "", seedDemo(ctx, store, passwords, accounts, log)
	case len(accounts) == 0:
		return firstAdmin(ctx, cfg.AdminEmail, store, passwords)
	case cfg.exposed():
		return "", refuseDemoAccounts(ctx, passwords, accounts)
	}
	return "", nil
}

// listen takes the address, which is then nobody else's.
func listen(ctx context.Context, address string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s: the address is already in use: give another with --listen, or DIBS_LISTEN=127.0.0.1:8081", address)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	return ln, nil
}

// lockFolder keeps a second server out of a folder: the built-in store is for
// one. The lock ends with the process, however that ends.
func lockFolder(cfg storeConfig) (unlock func() error, err error) {
	if cfg.DatabaseURL != "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, unreachable(err)
	}
	lock := flock.New(filepath.Join(cfg.Data, "serve.lock"), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, unreachable(err)
	}
	if !locked {
		return nil, &exitError{exitUnavailable, fmt.Errorf("another server runs on %s: stop it, or give this one another --data folder (several servers share a Postgres database: --database-url)", cfg.Data)}
	}
	return lock.Unlock, nil
}
