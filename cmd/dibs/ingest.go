package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/dibs-calls/dibs/transport/natsapi"
)

// ingestConfig says how call events of other services are taken.
type ingestConfig struct {
	On        bool
	MaxBytes  int64
	DeadBytes int64
	Remember  time.Duration
}

const (
	// leastRemember is longer than any call, and much longer than anything brings
	// an event twice.
	leastRemember = 24 * time.Hour
	// usualRemember lets services that nobody hears of over a weekend go on.
	usualRemember = 72 * time.Hour
	// rememberMore is how much longer the end of a call is known than its start is
	// believed, for sources whose clocks differ from the store's.
	rememberMore = time.Hour
)

func (c *ingestConfig) bind(flags *pflag.FlagSet) {
	flags.BoolVar(&c.On, "ingest", true, "take call events of other services over NATS (dibs.ingest.>); whoever may publish them speaks for any user")
	flags.Int64Var(&c.MaxBytes, "ingest-max-bytes", natsapi.DefaultIngestBytes, "how many bytes of them may wait, before publishers are refused")
	flags.Int64Var(&c.DeadBytes, "dead-max-bytes", natsapi.DefaultDeadBytes, "how many bytes of those that cannot be applied are kept ('dibs dead')")
	flags.DurationVar(&c.Remember, "ingest-remember", usualRemember, "how long the store knows a call event that comes twice, and which calls have ended; a start that is older is given up (each event is a row: 1,000 a second are 86 million a day, some 12 GB)")
}

func (c *ingestConfig) check() error {
	if c.Remember < leastRemember {
		return usagef("--ingest-remember %s: give at least %s, as in 72h", c.Remember, leastRemember)
	}
	return nil
}

// takeReports begins to take call events.
func (n *node) takeReports() (err error) {
	if !n.cfg.NATS.Ingest.On || n.cfg.Cluster.actorsAlone() {
		return nil
	}
	if n.ingester, err = n.bus.NewIngester(n.engine, n.store); err != nil {
		return err
	}
	n.ingester.Start()
	return nil
}
