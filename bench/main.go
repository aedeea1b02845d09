package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/bench/guard"
	"github.com/dibs-calls/dibs/bench/rivals"
	"github.com/dibs-calls/dibs/internal/heap"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

type options struct {
	callers  []int
	rounds   int
	duration time.Duration
	only     string
	profile  string
	guard    string
	record   bool
}

func main() {
	defer runtime.KeepAlive(heap.Floor()) // as dibs serve has it
	var o options
	widths := flag.String("callers", "1,64,256,1024", "how many callers at a time")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the median counts")
	flag.DurationVar(&o.duration, "duration", 4*time.Second, "how long a round of one system takes")
	flag.StringVar(&o.only, "only", "", "measure this system alone")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile here")
	flag.StringVar(&o.guard, "guard", "", "fail where dibs has fallen behind the ratios in this file")
	flag.BoolVar(&o.record, "record", false, "write the ratios into that file instead")
	flag.Parse()
	for _, w := range strings.Split(*widths, ",") {
		n, err := strconv.Atoi(w)
		if err != nil {
			fail(err)
		}
		o.callers = append(o.callers, n)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func run(ctx context.Context, o options) error {
	server, err := pgtest.New(pgtest.Options{Durable: true})
	if err != nil {
		return err
	}
	defer server.Close()
	p := rivals.NewPeople(slices.Max(o.callers)+1, 10_000)
	systems, err := openSystems(ctx, server, p, o.only)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range systems {
			s.close()
		}
	}()
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	cpu, err := newServerCPU(ctx, server)
	if err != nil {
		return err
	}
	printMachine()
	ratios, err := guard.Open(o.guard, o.record)
	if err != nil {
		return err
	}
	if err := compare(ctx, o, systems, cpu, ratios, "Calls (start + end)", "calls/s", calls(p)); err != nil {
		return err
	}
	holder, client := p.Users[len(p.Users)-1], p.Clients[0]
	for _, s := range systems {
		if ok, err := s.start(ctx, holder, client); err != nil || !ok {
			return fmt.Errorf("%s: the client could not be held: %v", s.name(), err)
		}
	}
	if err := compare(ctx, o, systems, cpu, ratios, "Starts on a client that is being called", "refused/s", refusals(p, client)); err != nil {
		return err
	}
	return ratios.Close()
}

func openSystems(ctx context.Context, server *pgtest.Server, p rivals.People, only string) ([]system, error) {
	var systems []system
	add := func(name string, open func(url string) (system, error)) error {
		if only != "" && only != name {
			return nil
		}
		url, err := server.CreateDatabase("bench_" + strings.ReplaceAll(name, " ", "_"))
		if err != nil {
			return err
		}
		s, err := open(url)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		systems = append(systems, s)
		return nil
	}
	if err := add("three statements", func(url string) (system, error) {
		if err := rivals.PreparePostgres(ctx, url, false, p); err != nil {
			return nil, err
		}
		r, err := rivals.NewThreeStatements(ctx, url)
		return rival{"three statements", r}, err
	}); err != nil {
		return nil, err
	}
	if err := add("conditional update", func(url string) (system, error) {
		if err := rivals.PreparePostgres(ctx, url, true, p); err != nil {
			return nil, err
		}
		r, err := rivals.NewConditionalUpdate(ctx, url)
		return rival{"conditional update", r}, err
	}); err != nil {
		return nil, err
	}
	if err := add("dibs", func(url string) (system, error) { return newDibs(ctx, url, p) }); err != nil {
		return nil, err
	}
	return systems, nil
}
