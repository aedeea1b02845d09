package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/dibs-calls/dibs/fleet"
	"github.com/dibs-calls/dibs/transport/natsapi"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// benchConfig is what 'dibs bench' is told.
type benchConfig struct {
	URL      string
	Key      string // of an administrator; empty: one is made in the store, for as long as it takes
	Existing bool   // people of the store are the agents, instead of accounts made for it
	NATS     natsConfig
	Plan     fleet.Plan
	FlatOut  bool
	Timeout  time.Duration
	JSON     bool
	Plot     string
}

const benchHelp = `Lets made-up agents call made-up clients on a running server, as a fleet of
dialers does, and says how fast it answered and whether it kept its promises.

Where the store can be opened (--data or --database-url, as the server has it) it
prepares all it needs: an API key for as long as it runs, an account for each
agent (agent-1@bench.dibs.invalid, and so on; disabled when it is done, used again
the next time) and clients (named "dibs bench …", deleted when it is done). Its
calls stay in the history. With --api-key, of an administrator, and
--existing-people it needs no store: then people of yours seem to be on calls.

Agents think, talk and wrap up for as long as their flags say, on average; with
--flat-out they do not pause. Latency is counted from when a request was meant to
be sent, so that a server that stalls is charged with everybody who would have
called meanwhile. Agents begin one after the other within --ramp; after --warm-up
the --time that counts begins.

What is checked of all that was seen, from the first request on:

  I1  no client was in two calls at once
  I2  no user was (--double-starts has some try)
  I4  whoever was refused was refused for a call in progress
  I6  the fencing tokens of a client rise

Exit code 0: all held. 1: one was broken, or requests had no good answer; standard
error says which. See 'dibs help exit-codes' for the rest.`

func (c *cli) benchCommand() *cobra.Command {
	var cfg benchConfig
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Simulate a fleet of dialers, and check what the server promises",
		Long:  benchHelp,
		Example: `  dibs bench                                   the server on this machine
  dibs bench --agents 2000 --talk 40s --think 10s --time 5m --plot latency.svg
  dibs bench --flat-out --agents 256 --json | jq .calls_per_second
  dibs bench --zipf 1.2 --nats-url nats://nats.internal:4222
  DIBS_API_KEY=$KEY dibs bench --url https://dibs.example.com --existing-people`,
		Args: exactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.check(cmd.Flags()); err != nil {
				return err
			}
			return c.bench(cmd.Context(), cfg)
		},
	}
	cfg.bind(cmd.Flags())
	return cmd
}

func (cfg *benchConfig) bind(flags *pflag.FlagSet) {
	p := &cfg.Plan
	flags.StringVar(&cfg.URL, "url", "http://127.0.0.1:8080", "address of the server")
	flags.StringVar(&cfg.Key, "api-key", "", "key of an administrator (better as DIBS_API_KEY); empty: one is made in the store")
	flags.BoolVar(&cfg.Existing, "existing-people", false, "let the people who are there be the agents")
	cfg.NATS.bindAddress(flags)
	flags.Lookup("nats-url").Usage = "ask over NATS (nats://…) instead of HTTP, which only prepares then"
	flags.IntVar(&p.Agents, "agents", 50, "how many agents")
	flags.IntVar(&p.Clients, "clients", 0, "how many clients they call; 0: ten for each agent")
	flags.DurationVar(&p.Think, "think", 2*time.Second, "how long an agent looks at whom to call next, on average")
	flags.DurationVar(&p.Talk, "talk", 5*time.Second, "how long a call lasts, on average")
	flags.DurationVar(&p.WrapUp, "wrap-up", time.Second, "how long an agent writes it down, on average")
	flags.BoolVar(&cfg.FlatOut, "flat-out", false, "no pauses: how much the server can do")
	flags.Float64Var(&p.Zipf, "zipf", 0, "prefer some clients: the n-th in proportion to n^-zipf (above 1; 0: all alike)")
	flags.Float64Var(&p.Double, "double-starts", 0.01, "share of the calls during which the agent tries to start another")
	flags.DurationVar(&p.Lease, "lease", 5*time.Minute, "lease of each call, so that none outlives a bench that was killed by much")
	flags.DurationVar(&p.Ramp, "ramp", 3*time.Second, "time over which the agents begin")
	flags.DurationVar(&p.WarmUp, "warm-up", 2*time.Second, "time after that which is not counted")
	flags.DurationVar(&p.Time, "time", 30*time.Second, "time that is counted")
	flags.Uint64Var(&p.Seed, "seed", 0, "of all that is left to chance; 0: another each time")
	flags.DurationVar(&cfg.Timeout, "timeout", 10*time.Second, "how long an answer is waited for")
	flags.BoolVar(&cfg.JSON, "json", false, "print the figures as JSON")
	flags.StringVar(&cfg.Plot, "plot", "", "draw the latencies into this file, as SVG")
}

// check finds what can never work: it asks nobody.
func (cfg *benchConfig) check(flags *pflag.FlagSet) error {
	p := &cfg.Plan
	if cfg.FlatOut {
		for _, name := range []string{"think", "talk", "wrap-up"} {
			if flags.Changed(name) {
				return usagef("--flat-out has no pauses: leave out --%s", name)
			}
		}
		p.Think, p.Talk, p.WrapUp = 0, 0, 0
	}
	if p.Clients == 0 {
		p.Clients = 10 * p.Agents
	}
	if p.Seed == 0 {
		p.Seed = rand.Uint64()
	}
	switch {
	case cfg.Timeout <= 0:
		return usagef("--timeout %s: give a time above zero, as in 10s", cfg.Timeout)
	case cfg.Key != "" && !cfg.Existing:
		return usagef("with --api-key the store is not opened, and only there accounts for agents can be made: give --existing-people, or leave out --api-key and give --data or --database-url as the server has it")
	case cfg.Existing && cfg.Key == "":
		return usagef("--existing-people asks the server alone: give the key of an administrator as DIBS_API_KEY ('dibs token create --role admin --name bench')")
	}
	if err := p.Check(); err != nil {
		return usagef("%w", err)
	}
	if _, err := fleet.NewHTTP(cfg.URL, cfg.Key, cfg.Timeout); err != nil {
		return usagef("--url: %w", err)
	}
	return nil
}

// bench prepares, runs, cleans up and reports, in this order; it cleans up after
// an interrupt too.
func (c *cli) bench(ctx context.Context, cfg benchConfig) error {
	plot, err := openPlot(cfg.Plot) // before minutes are spent
	if err != nil {
		return err
	}
	if plot != nil {
		defer func() { _ = plot.Close() }() // written and closed below, if it came to that
	}
	t, err := c.benchPrepared(ctx, cfg)
	if t == nil {
		return err
	}
	if cfg.JSON {
		err = errors.Join(err, printBenchJSON(c.stdout, t))
	} else {
		err = errors.Join(err, printBench(c.stdout, t))
	}
	if plot != nil {
		err = errors.Join(err, fleet.WritePlot(plot, t, benchTitle(&cfg, t)), plot.Close())
	}
	return errors.Join(err, c.verdict(t))
}

func openPlot(name string) (io.WriteCloser, error) {
	if name == "" {
		return nil, nil
	}
	return os.Create(name)
}

// benchPrepared returns what the run came to, which may be there beside an error.
func (c *cli) benchPrepared(ctx context.Context, cfg benchConfig) (t *fleet.Tally, err error) {
	stage, err := c.benchStage(ctx, &cfg)
	if stage != nil {
		defer func() {
			_, _ = fmt.Fprintln(c.stderr, "cleaning up")
			err = errors.Join(err, stage.clear(context.WithoutCancel(ctx)))
		}()
	}
	if err != nil {
		return nil, interrupted(ctx, err)
	}
	network, closing, err := cfg.network(stage.key)
	if err != nil {
		return nil, err
	}
	defer closing()
	show := newBenchProgress(c.stderr, &cfg.Plan)
	t, err = fleet.Run(ctx, cfg.Plan, fleet.Fleet{Network: network, Users: stage.users, Clients: stage.clients, Watch: show.watch})
	show.finish()
	return t, interrupted(ctx, err)
}

func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return &exitError{exitInterrupted, errors.New("interrupted; the figures are of what was done until then")}
	}
	return err
}

// network is the server as agents ask it.
func (cfg *benchConfig) network(key string) (fleet.Network, func(), error) {
	if cfg.NATS.URL == "" {
		n, err := fleet.NewHTTP(cfg.URL, key, cfg.Timeout)
		return n, func() {}, err
	}
	nc, err := natsapi.Connect(natsapi.Config{URL: cfg.NATS.URL, Auth: cfg.NATS.Auth, TLS: cfg.NATS.TLS}, "dibs bench")
	if err != nil {
		return nil, nil, &exitError{exitUnavailable, err}
	}
	return fleet.NewNATS(nc, cfg.Timeout), nc.Close, nil
}

// verdict is the error of a run that did not go as promised.
func (c *cli) verdict(t *fleet.Tally) error {
	said := map[string]int{}
	for _, v := range t.Violations {
		if said[v.Promise]++; said[v.Promise] <= 3 {
			_, _ = fmt.Fprintf(c.stderr, "%s broken: %s\n", v.Promise, v.What)
		}
	}
	switch {
	case t.Broken > 0:
		return fmt.Errorf("the server broke its promises %d times", t.Broken)
	case t.Verbs[fleet.Start].Total() == 0:
		return errors.New("no agent came to start a call: give more --time, or shorter pauses")
	case t.Wrong() > 0:
		return fmt.Errorf("%d requests had no good answer", t.Wrong())
	}
	return nil
}
