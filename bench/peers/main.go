// Command peers compares dibs with what people would use instead, as a fleet sees
// it: over HTTP, one system after the other, in turns, on one machine.
//
//	make peers
//	make peers PEERS_ARGS="-duration 1s -rounds 1"      a quick look
//
// Every system is the same three processes: the generator (this one), a server
// shell, and a store. The shell is dibs' own HTTP layer (router, authentication,
// decoding, answers), behind which stands dibs or a rival of package rivals; of
// dibs it is the program that people run. Every store syncs a write before it
// answers; that is asserted, and the syncs of the disk are counted.
//
// A profile of a shell under this load:
//
//	go run ./peers -only dibs -loads calls -connections 256 -profile /tmp/profiles
//	go tool pprof -top /tmp/profiles/dibs-calls-256.cpu
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dibs-calls/dibs/bench/guard"
	"github.com/dibs-calls/dibs/bench/proc"
	"github.com/dibs-calls/dibs/internal/heap"
)

type options struct {
	connections []int
	loads       []string
	only        []string
	rounds      int
	duration    time.Duration
	profile     string
	docs        string
	guard       string
	record      bool
	results     string
	root        string
}

func main() {
	defer runtime.KeepAlive(heap.Floor()) // as dibs serve has it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch role := os.Getenv(roleVariable); role {
	case "":
		err = compare(ctx, parse())
	case "shell":
		err = runShell(ctx)
	case "nats":
		err = runNATS(ctx)
	default:
		err = fmt.Errorf("%s=%s is no role", roleVariable, role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		stop()
		os.Exit(1) //nolint:gocritic // nothing is left to be deferred
	}
}

func parse() options {
	var o options
	widths := flag.String("connections", "64,256,1024", "how many connections at a time")
	loads := flag.String("loads", strings.Join(loadNames(), ","), "what is measured")
	only := flag.String("only", "", "measure these systems alone: "+strings.Join(systemNames(), ", "))
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; the median counts")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "how long a round of one system is counted")
	flag.StringVar(&o.profile, "profile", "", "write CPU profiles of the shells into this folder, a file a system, load and width")
	flag.StringVar(&o.docs, "docs", "", "folder of benchmarks.md: write the figures and plots there, with three rounds or more; what other loads came to is kept")
	flag.StringVar(&o.results, "results", "", "without -docs: keep the figures in this file, beside those of other loads in it")
	flag.StringVar(&o.guard, "guard", "", "fail where dibs has fallen behind the ratios in this file")
	flag.BoolVar(&o.record, "record", false, "write the ratios into that file instead")
	flag.StringVar(&o.root, "root", "..", "folder of the dibs module")
	flag.Parse()
	for _, w := range strings.Split(*widths, ",") {
		n, err := strconv.Atoi(w)
		if err != nil || n < 1 {
			fatal(fmt.Errorf("-connections: %q is not a number of connections", w))
		}
		o.connections = append(o.connections, n)
	}
	o.loads, o.only = strings.Split(*loads, ","), systemNames()
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	known := func(given, all []string) {
		for _, g := range given {
			if !slices.Contains(all, g) {
				fatal(fmt.Errorf("there is no %q: give some of %s", g, strings.Join(all, ", ")))
			}
		}
	}
	known(o.loads, loadNames())
	known(o.only, systemNames())
	return o
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "peers:", err)
	os.Exit(2)
}

// leastRounds is how many rounds figures need that others are to read.
const leastRounds = 3

// compare measures everything and reports it.
func compare(ctx context.Context, o options) (err error) {
	lab, err := openLab(ctx, o)
	defer func() { err = errors.Join(err, lab.close()) }()
	if err != nil {
		return err
	}
	if o.docs != "" && o.rounds < leastRounds {
		fmt.Fprintf(os.Stderr, "fewer than %d rounds: the documentation stays as it is\n", leastRounds)
		o.docs = ""
	}
	if o.docs != "" {
		o.results = filepath.Join(o.docs, "benchmarks", "peers.json")
	}
	r, err := readResults(o.results)
	if err != nil {
		return err
	}
	r.Machine = proc.Machine()
	r.Rounds, r.Counted = o.rounds, o.duration.String()
	if err := lab.measureAll(ctx, r); err != nil {
		return err
	}
	if err := r.write(o.results); err != nil {
		return err
	}
	fmt.Print(r.markdown())
	g, err := guard.Open(o.guard, o.record)
	if err != nil {
		return err
	}
	r.guard(g)
	if err := g.Close(); err != nil || o.docs == "" {
		return err
	}
	return r.document(o.docs)
}
