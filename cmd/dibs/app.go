package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/dibs-calls/dibs/actors"
	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/transport/httpapi"
)

// runServer serves until ctx ends, then stops cleanly: it accepts nothing new,
// finishes what is under way, and lets the journals write what they have. It
// calls ready once, with the address people use, when requests are accepted.
func runServer(ctx context.Context, cfg serveConfig, store persistence.Store, log *slog.Logger, ready func(url string)) error {
	passwords, err := auth.NewPasswords(auth.DefaultParams(), auth.DefaultMemoryBudget)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	engine := newEngine(cfg, store, registry, log)
	api, err := httpapi.New(httpapi.Config{
		Calls: engine, Store: forgetful{store, engine}, Passwords: passwords, Metrics: registry, Log: log,
		Ready:     func(ctx context.Context) error { return errors.Join(engine.Ready(), store.Ping(ctx)) },
		Reachable: engine.Reachable,
		Region:    cfg.DefaultRegion, BehindProxy: cfg.BehindProxy,
	})
	if err != nil {
		return errors.Join(err, stopEngine(engine, cfg.ShutdownTimeout))
	}
	server := httpapi.NewServer(api, httpapi.Limits{}, log)

	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("cannot listen on %s: %w", cfg.Listen, err), stopEngine(engine, cfg.ShutdownTimeout))
	}
	return serveUntil(ctx, cfg, server, ln, engine, store, log, ready)
}

func newEngine(cfg serveConfig, store persistence.Store, registry *prometheus.Registry, log *slog.Logger) *actors.System {
	journals := 2
	if cfg.Store.DatabaseURL == "" {
		journals = 1 // SQLite has one writer
	}
	metrics := newEngineMetrics(registry)
	engine := actors.NewSystem(actors.Config{
		Journal: store, Reader: store, Logger: log, Observer: metrics, Journals: journals,
	})
	metrics.watch(registry, engine)
	return engine
}

// serveUntil runs the server and the upkeep of the store until ctx ends or the
// server fails, and stops everything in the order in which it depends on each
// other.
func serveUntil(ctx context.Context, cfg serveConfig, server *httpapi.Server, ln net.Listener, engine *actors.System,
	store persistence.Store, log *slog.Logger, ready func(url string),
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var upkeep sync.WaitGroup
	upkeep.Go(func() { prune(ctx, store, log) })

	failed := make(chan error, 1)
	scheme := "http"
	if cfg.TLSCert != "" {
		scheme = "https"
		go func() { failed <- server.ServeTLS(ln, cfg.TLSCert, cfg.TLSKey) }()
	} else {
		go func() { failed <- server.Serve(ln) }()
	}
	log.Info("serving", "address", ln.Addr().String())
	ready(scheme + "://" + ln.Addr().String())

	var err error
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-failed:
		err = fmt.Errorf("the server failed: %w", err)
	}
	cancel()
	stopCtx, done := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownTimeout)
	defer done()
	err = errors.Join(err, server.Shutdown(stopCtx), engine.Stop(stopCtx))
	upkeep.Wait()
	return err
}

func stopEngine(engine *actors.System, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return engine.Stop(ctx)
}

// forgetful is the store, with a word to the engine when a client is gone.
type forgetful struct {
	persistence.Store
	engine *actors.System
}

func (f forgetful) DeleteClient(ctx context.Context, id messages.ClientID, audit messages.Audit) error {
	err := f.Store.DeleteClient(ctx, id, audit)
	if err == nil {
		f.engine.ForgetClient(id)
	}
	return err
}

const (
	pruneEvery = time.Minute
	pruneLimit = 5000 // rows of a kind a transaction, so that nobody waits for it
)

// prune forgets what has passed its time, a little at a time, until ctx ends.
func prune(ctx context.Context, store persistence.Upkeep, log *slog.Logger) {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		for {
			n, err := store.Prune(ctx, pruneLimit)
			if err != nil && ctx.Err() == nil {
				log.Warn("old keys and sessions could not be forgotten; trying again later", "cause", err)
			}
			if err != nil || n < pruneLimit {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
