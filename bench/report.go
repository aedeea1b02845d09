package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/bench/guard"
	"github.com/dibs-calls/dibs/bench/proc"
)

// compare measures all systems at all widths, in turns, and prints the medians
// as a table in Markdown.
func compare(ctx context.Context, o options, systems []system, server serverCPU, ratios *guard.Guard, title, unit string, l load) error {
	fmt.Printf("\n### %s\n\n", title)
	header := []string{"callers", "system", unit, "spread", "p50 of a start", "p99 of a start", "CPU here", "CPU of Postgres"}
	if len(systems) == 3 {
		header = append(header, "× three statements", "× conditional update")
	}
	fmt.Printf("| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, width := range o.callers {
		rounds := make([][]result, len(systems))
		for range o.rounds {
			for i, s := range systems {
				r, err := measure(ctx, s, server, l, width, o.duration/4, o.duration)
				if err != nil {
					return fmt.Errorf("%s with %d callers: %w", s.name(), width, err)
				}
				rounds[i] = append(rounds[i], r)
			}
		}
		printRows(width, systems, rounds)
		for i, s := range systems {
			if last := len(systems) - 1; i < last { // dibs
				ratios.See(fmt.Sprintf("engine/%s/%d/%s", unit, width, s.name()), median(rounds[last]).perSecond/median(rounds[i]).perSecond)
			}
		}
	}
	return nil
}

func printRows(width int, systems []system, rounds [][]result) {
	medians := make([]result, len(systems))
	for i := range systems {
		medians[i] = median(rounds[i])
	}
	for i, s := range systems {
		m := medians[i]
		low := slices.MinFunc(rounds[i], func(a, b result) int { return cmp.Compare(a.perSecond, b.perSecond) })
		high := slices.MaxFunc(rounds[i], func(a, b result) int { return cmp.Compare(a.perSecond, b.perSecond) })
		row := []string{
			fmt.Sprint(width), s.name(), fmt.Sprintf("%.0f", m.perSecond),
			fmt.Sprintf("%.0f–%.0f", low.perSecond, high.perSecond), show(m.p50), show(m.p99), show(m.cpu), show(m.serverCPU),
		}
		if len(systems) == 3 {
			row = append(row, ratio(m, medians[0]), ratio(m, medians[1]))
		}
		fmt.Printf("| %s |\n", strings.Join(row, " | "))
	}
}

// median returns the median of each figure by itself.
func median(rs []result) result {
	mid := func(f func(result) float64) float64 {
		var v []float64
		for _, r := range rs {
			v = append(v, f(r))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return result{
		perSecond: mid(func(r result) float64 { return r.perSecond }),
		cpu:       time.Duration(mid(func(r result) float64 { return float64(r.cpu) })),
		serverCPU: time.Duration(mid(func(r result) float64 { return float64(r.serverCPU) })),
		p50:       time.Duration(mid(func(r result) float64 { return float64(r.p50) })),
		p99:       time.Duration(mid(func(r result) float64 { return float64(r.p99) })),
	}
}

func ratio(a, b result) string { return fmt.Sprintf("%.1f", a.perSecond/b.perSecond) }

func show(d time.Duration) string {
	switch {
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.0f µs", float64(d)/1e3)
}

func printMachine() {
	fmt.Printf("%s; a private Postgres on the same machine, default durability.\n", proc.Machine())
}
