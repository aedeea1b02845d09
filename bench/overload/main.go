// Command overload asks more of dibs than it can do, and says what became of those
// who asked:
//
//	cd bench && go run ./overload
//
// In one run, against the program that people run, it measures the capacity (calls
// a second, agents flat out), and then offers half of it, all of it, twice and four
// times as much, in an open loop: starts come whatever became of those before. What
// counts is how the answers to those who were admitted compare with those at half
// the load, how the rest are refused, and what the next ones get when the load falls.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dibs-calls/dibs/bench/proc"
	"github.com/dibs-calls/dibs/fleet"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

type options struct {
	root     string
	bin      string
	store    string
	duration time.Duration
	agents   int
	crowd    int
	more     bool
	limit    int
	apart    bool
	env      []string
	rounds   int
	most     float64
}

func main() {
	var o options
	flag.StringVar(&o.root, "root", "..", "folder of the dibs module")
	flag.StringVar(&o.bin, "dibs", "", "the program to measure; empty: it is compiled")
	flag.StringVar(&o.store, "store", "postgres,sqlite", "which stores")
	flag.DurationVar(&o.duration, "duration", 4*time.Second, "how long each stage is counted")
	flag.IntVar(&o.agents, "agents", 2000, "connections of the open loop")
	flag.IntVar(&o.crowd, "crowd", 10_000, "connections of the stage with many")
	flag.BoolVar(&o.more, "more", true, "also new connections, a crowd, and readers of events that do not read")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the median counts")
	flag.Float64Var(&o.most, "most", 3, "fail if admitted starts have more than so many times their unloaded p99 at twice the capacity")
	flag.IntVar(&o.limit, "limit", 0, "--admission-limit of dibs; 4096 is next to none")
	flag.BoolVar(&o.apart, "apart", true, "half of the processors for dibs and its store, the others for who asks, if there are four")
	flag.Func("env", "a variable for the server, such as GOMEMLIMIT=2GiB; may be repeated", func(kv string) error {
		o.env = append(o.env, kv)
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measureAll(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "overload:", err)
		stop()
		os.Exit(1) //nolint:gocritic // nothing is left to be deferred
	}
}

func measureAll(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "dibs-overload-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bin := o.bin
	if bin == "" {
		if bin, err = build(ctx, o.root, dir); err != nil {
			return err
		}
	}
	cpus, err := proc.Divide() // before this process keeps to some of them
	if err != nil {
		return err
	}
	if o.apart {
		fmt.Fprintln(os.Stderr, cpus)
	}
	var broken []string
	for _, name := range splitStores(o.store) {
		r, err := measureStore(ctx, o, cpus, bin, filepath.Join(dir, name), name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.print(os.Stdout)
		broken = append(broken, r.broken(o.most)...)
	}
	if len(broken) > 0 {
		return fmt.Errorf("not as promised:\n  %s", join(broken))
	}
	return nil
}

func measureStore(ctx context.Context, o options, cpus proc.Apart, bin, dir, name string) (_ *report, err error) {
	if o.apart {
		if err := cpus.ToMeasured(); err != nil {
			return nil, err
		}
	}
	url := ""
	if name == "postgres" {
		pg, err := pgtest.New(pgtest.Options{Durable: true})
		if err != nil {
			return nil, err
		}
		defer pg.Close()
		if url, err = pg.CreateDatabase("overload"); err != nil {
			return nil, err
		}
	}
	d, err := deploy(ctx, bin, dir, url, o)
	defer func() { err = errors.Join(err, d.stop()) }()
	if err != nil {
		return nil, err
	}
	if o.apart {
		if err := cpus.ToAsking(); err != nil {
			return nil, err
		}
	}
	network, err := fleet.NewHTTP(d.url, d.key, 20*time.Second)
	if err != nil {
		return nil, err
	}
	l := &lab{options: o, d: d, network: network.Lean(), report: &report{Store: name}}
	return l.report, l.measure(ctx)
}
