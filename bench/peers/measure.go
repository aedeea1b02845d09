package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/bench/proc"
	"github.com/dibs-calls/dibs/fleet"
)

const requestTimeout = 10 * time.Second

// load is one way of asking.
type load struct {
	name, title, unit string
	kind              fleet.Load
	verb              fleet.Verb // whose latency is told
	widths            []int      // nil: those of the command line
	who               func(system) bool
}

func allLoads() []load {
	everybody := func(system) bool { return true }
	return []load{
		{"calls", "Calls (start + end)", "calls/s", fleet.Calls, fleet.Start, nil, everybody},
		{"refusals", "Starts on a client that is being called", "refused/s", fleet.Refusals, fleet.Start, []int{256},
			func(s system) bool { return s.hold || s.name == "empty" }},
		{"looks", "Availability of a client", "answers/s", fleet.Looks, fleet.Look, []int{256}, everybody},
		{"lists", "The list of who is on a call, unchanged since the last time (ETag)", "answers/s", fleet.Lists, fleet.List, []int{256},
			func(s system) bool { return s.lists || s.name == "empty" }},
	}
}

func loadNames() (names []string) {
	for _, l := range allLoads() {
		names = append(names, l.name)
	}
	return names
}

// figures are what one round of one system came to.
type figures struct {
	PerSecond float64 // what the load counts
	P50, P99  float64 // µs, of its verb
	ShellCPU  float64 // µs of the shell's processes for each that counts
	StoreCPU  float64 // likewise of the store's
	Wrong     int     // requests without a good answer
	Broken    int     // promises seen broken: clients given to two people at once
}

// measureAll measures every load at every width, the systems in turns. Each round
// begins with another system.
func (l *lab) measureAll(ctx context.Context, r *results) error {
	for _, load := range allLoads() {
		if !slices.Contains(l.loads, load.name) {
			continue
		}
		shells := slices.DeleteFunc(slices.Clone(l.shells), func(s *shell) bool { return !load.who(s.system) })
		if load.name == "refusals" {
			if err := l.holdFirst(shells); err != nil {
				return err
			}
		}
		widths := load.widths
		if widths == nil {
			widths = l.connections
		}
		for _, width := range widths {
			for round := range l.rounds {
				for i := range shells {
					s := shells[(i+round)%len(shells)]
					f, err := l.measure(ctx, s, load, width, round == l.rounds-1)
					if err != nil {
						return fmt.Errorf("%s, %s at %d connections: %w", s.name, load.name, width, err)
					}
					fmt.Fprintf(os.Stderr, "%-9s %5d  %-18s %7.0f/s  p50 %s  p99 %s\n", load.name, width, s.title, f.PerSecond, micros(f.P50), micros(f.P99))
					r.add(load.name, width, s.name, round, f)
				}
			}
		}
	}
	return l.measureOnce(r)
}

// measure is one round of one system: a warm-up, and the time that counts.
func (l *lab) measure(ctx context.Context, s *shell, load load, width int, profile bool) (figures, error) {
	network, err := l.network(s)
	if err != nil {
		return figures{}, err
	}
	plan := fleet.Plan{Load: load.kind, Agents: width, Clients: clients, WarmUp: l.duration/3 + 100*time.Millisecond, Time: l.duration, Seed: uint64(time.Now().UnixNano())}
	var shellCPU, storeCPU time.Duration
	var profiled sync.WaitGroup
	f := fleet.Fleet{
		Network: network, Users: ids(l.people.Users), Clients: ids(l.people.Clients),
		Began: func() {
			shellCPU, storeCPU = proc.CPU(s.pid()), proc.CPU(s.store...)
			if profile && l.profile != "" {
				profiled.Go(func() { l.takeProfile(s, load, width) })
			}
		},
		Over: func() { shellCPU, storeCPU = proc.CPU(s.pid())-shellCPU, proc.CPU(s.store...)-storeCPU },
	}
	if load.kind == fleet.Refusals {
		f.Clients[0] = f.Clients[len(f.Clients)-1] // the one that is held
	}
	t, err := fleet.Run(ctx, plan, f)
	profiled.Wait()
	if err != nil {
		return figures{}, err
	}
	count := t.Verbs[load.verb].Count(fleet.Done)
	switch load.kind {
	case fleet.Calls:
		count = t.Calls
	case fleet.Refusals:
		if s.hold {
			count = t.Refused
		}
	}
	each := float64(max(1, count)) // of the slowest, a short round sees none
	out := figures{
		PerSecond: t.PerSecond(count), Wrong: t.Wrong(), Broken: t.Broken,
		ShellCPU: float64(shellCPU.Microseconds()) / each, StoreCPU: float64(storeCPU.Microseconds()) / each,
	}
	if s.hold && load.kind == fleet.Refusals && t.Verbs[fleet.Start].Count(fleet.Done) > 0 {
		return out, errors.New("a client that was held was given away")
	}
	v := &t.Verbs[load.verb]
	out.P50, out.P99 = float64(v.At(50).Microseconds()), float64(v.At(99).Microseconds())
	if out.Wrong > 0 {
		fmt.Fprintf(os.Stderr, "%s: %d requests went wrong: %v\n", s.name, out.Wrong, t.Details)
	}
	return out, nil
}

// holdFirst has a user whom no agent is call a client whom no agent calls by
// chance in a load of calls.
func (l *lab) holdFirst(shells []*shell) error {
	for _, s := range shells {
		if !s.hold {
			continue
		}
		network, err := l.network(s)
		if err != nil {
			return err
		}
		link := network.Link()
		a := link.Start(l.people.Users[len(l.people.Users)-1].String(), l.people.Clients[len(l.people.Clients)-1].String(), 0)
		link.Close()
		if a.Outcome != fleet.Done {
			return fmt.Errorf("%s: the client could not be held: %s %s", s.name, a.Outcome, a.Detail)
		}
	}
	return nil
}

// measureOnce takes what needs no rounds: syncs of the disk for each call of one
// caller, and allocations of dibs.
func (l *lab) measureOnce(r *results) error {
	const calls = 100
	for _, s := range l.shells {
		if !s.claim {
			continue
		}
		before := proc.Flushes()
		if err := l.callOnce(s, calls, 1, nil); err != nil {
			return err
		}
		once := once{Flushes: float64(proc.Flushes()-before) / calls}
		if s.lists { // it is dibs
			var counts [3]float64
			at := 0
			count := func() { counts[at] = mallocs(s.url, l.token); at++ }
			count()
			if err := l.callOnce(s, len(l.people.Users)-1, 256, count); err != nil {
				return err
			}
			count()
			n := float64(len(l.people.Users) - 1)
			once.StartAllocs, once.EndAllocs = (counts[1]-counts[0])/n, (counts[2]-counts[1])/n
		}
		r.Once[s.name] = once
	}
	return nil
}

// callOnce has n users call a client each, from some connections at a time, and
// then end all calls.
func (l *lab) callOnce(s *shell, n, at int, between func()) error {
	network, err := l.network(s)
	if err != nil {
		return err
	}
	each := func(ask func(link fleet.Link, i int) fleet.Answer) error {
		errs := make([]error, at)
		var all sync.WaitGroup
		for w := range at {
			all.Go(func() {
				link := network.Link()
				defer link.Close()
				for i := w; i < n && errs[w] == nil; i += at {
					if a := ask(link, i); a.Outcome != fleet.Done {
						errs[w] = fmt.Errorf("%s: %s %s", s.name, a.Outcome, a.Detail)
					}
				}
			})
		}
		all.Wait()
		return errors.Join(errs...)
	}
	if err := each(func(link fleet.Link, i int) fleet.Answer {
		return link.Start(l.people.Users[i].String(), l.people.Clients[i].String(), 0)
	}); err != nil {
		return err
	}
	if between != nil {
		between()
	}
	return each(func(link fleet.Link, i int) fleet.Answer { return link.End(l.people.Users[i].String(), "") })
}

// mallocs is how often a dibs process has allocated since it began.
func mallocs(url, token string) float64 {
	text, err := get(url+"/metrics", token)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "go_memstats_mallocs_total "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return n
		}
	}
	return 0
}

// takeProfile keeps profiles of the shell for the time that counts: what took the
// processors, and what was allocated.
func (l *lab) takeProfile(s *shell, load load, width int) {
	seconds := max(1, int(l.duration.Seconds()))
	name := filepath.Join(l.profile, fmt.Sprintf("%s-%s-%d", s.name, load.name, width))
	var both sync.WaitGroup
	for ending, path := range map[string]string{".cpu": "profile", ".allocs": "allocs"} {
		both.Go(func() {
			text, err := get(fmt.Sprintf("%s/debug/pprof/%s?seconds=%d", s.pprof, path, seconds), "")
			if err == nil {
				err = os.MkdirAll(l.profile, 0o755)
			}
			if err == nil {
				err = os.WriteFile(name+ending, text, 0o600)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "no profile:", err)
			}
		})
	}
	both.Wait()
}

func get(url, token string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
