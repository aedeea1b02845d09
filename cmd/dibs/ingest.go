package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/transport/natsapi"
)

// ingestConfig says how call events of other services are taken.
type ingestConfig struct {
	On        bool
	MaxBytes  int64
	DeadBytes int64
	Remember  time.Duration
}

// leastRemember is much longer than anything brings an event twice.
const leastRemember = time.Hour

func (c *ingestConfig) bind(flags *pflag.FlagSet) {
	flags.BoolVar(&c.On, "ingest", true, "take call events of other services over NATS (dibs.ingest.>); whoever may publish them speaks for any user")
	flags.Int64Var(&c.MaxBytes, "ingest-max-bytes", natsapi.DefaultIngestBytes, "how many bytes of them may wait, before publishers are refused")
	flags.Int64Var(&c.DeadBytes, "dead-max-bytes", natsapi.DefaultDeadBytes, "how many bytes of those that cannot be applied are kept ('dibs dead')")
	flags.DurationVar(&c.Remember, "ingest-remember", 7*24*time.Hour, "how long the store knows a call event that comes twice")
}

func (c *ingestConfig) check() error {
	if c.Remember < leastRemember {
		return usagef("--ingest-remember %s: give at least %s, as in 168h", c.Remember, leastRemember)
	}
	return nil
}

// takeReports begins to take call events.
func (n *node) takeReports() (err error) {
	if !n.cfg.NATS.Ingest.On {
		return nil
	}
	if n.ingester, err = n.bus.NewIngester(n.engine, n.store); err != nil {
		return err
	}
	n.ingester.Start()
	return nil
}

// pruneReports forgets which events were reported longer than age ago, a little
// at a time, until ctx ends.
func pruneReports(ctx context.Context, store persistence.Reports, age time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		for {
			n, err := store.PruneReports(ctx, age, pruneLimit)
			if err != nil && ctx.Err() == nil {
				log.Warn("old call events could not be forgotten; trying again later", "cause", err)
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
