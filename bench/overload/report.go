package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// report is what one deployment came to.
type report struct {
	Store    string
	Capacity float64     // calls a second
	Stages   [][]figures // a list of rounds each
}

// add notes what another round of a stage came to.
func (r *report) add(f figures) {
	for i, rounds := range r.Stages {
		if rounds[0].Stage == f.Stage {
			r.Stages[i] = append(rounds, f)
			return
		}
	}
	r.Stages = append(r.Stages, []figures{f})
}

// median is the round in the middle, by what starts took; what went wrong in any of
// them is in it.
func median(rounds []figures) figures {
	sorted := slices.SortedFunc(slices.Values(rounds), func(a, b figures) int { return cmp.Compare(a.P99, b.P99) })
	f := sorted[len(sorted)/2]
	f.EndsRefused, f.Wrong, f.Probes = 0, 0, probes{}
	for _, one := range rounds {
		f.EndsRefused += one.EndsRefused
		f.Wrong += one.Wrong
		f.RSS = max(f.RSS, one.RSS)
		f.Probes.NoRetryAfter += one.Probes.NoRetryAfter
		f.Probes.Health.add(one.Probes.Health)
		f.Probes.Ready.add(one.Probes.Ready)
		f.Probes.List.add(one.Probes.List)
	}
	return f
}

func (l *looks) add(other looks) {
	l.All, l.Bad, l.Slowest = l.All+other.All, l.Bad+other.Bad, max(l.Slowest, other.Slowest)
}

func (r *report) stage(name string) figures {
	for _, rounds := range r.Stages {
		if rounds[0].Stage == name {
			return median(rounds)
		}
	}
	return figures{}
}

// broken says what is not as promised, by ratios of this run.
func (r *report) broken(most float64) (all []string) {
	say := func(format string, args ...any) { all = append(all, r.Store+": "+fmt.Sprintf(format, args...)) }
	half, twice, again := r.stage("0.5 ×"), r.stage("2 ×"), r.stage("0.5 × again, at once")
	if twice.P99 > most*half.P99 {
		say("p99 at twice the capacity is %.1f ms, unloaded %.1f: more than %.1f times", twice.P99, half.P99, most)
	}
	if refused := again.Refused / max(1, again.Offered); refused > 0.02 {
		say("%.1f %% were refused when the load had fallen", 100*refused)
	}
	if twice.Admitted < 0.5*r.Capacity {
		say("at twice the capacity %.0f calls a second were admitted of %.0f that can be", twice.Admitted, r.Capacity)
	}
	for _, rounds := range r.Stages {
		f := median(rounds)
		if f.Wrong > 0 || f.EndsRefused > 0 {
			say("%s: %d requests had no answer, %d ends were refused", f.Stage, f.Wrong, f.EndsRefused)
		}
		if f.Probes.NoRetryAfter > 0 {
			say("%s: %d refusals were not as the contract says", f.Stage, f.Probes.NoRetryAfter)
		}
		if f.Probes.Health.Bad+f.Probes.Ready.Bad > 0 {
			say("%s: /healthz %d, /readyz %d times not 200", f.Stage, f.Probes.Health.Bad, f.Probes.Ready.Bad)
		}
	}
	return all
}

func (f *figures) line() string {
	return fmt.Sprintf("%-34s offered %6.0f admitted %6.0f refused %6.0f/s  p50 %6.1f p99 %6.1f end p99 %6.1f  refusal p50 %5.1f p99 %6.1f ms  ends refused %d wrong %d backlog %d  %d MiB  health %v ready %v list %v, odd %d",
		f.Stage, f.Offered, f.Admitted, f.Refused, f.P50, f.P99, f.EndP99, f.RefusedP50, f.RefusedP99, f.EndsRefused, f.Wrong, f.Backlog, f.RSS>>20,
		f.Probes.Health, f.Probes.Ready, f.Probes.List, f.Probes.NoRetryAfter)
}

// print writes the table of docs/benchmarks.md.
func (r *report) print(w io.Writer) {
	_, _ = fmt.Fprintf(w, "\n### dibs on %s: %.0f calls a second at its best\n\n", r.Store, r.Capacity)
	_, _ = fmt.Fprintln(w, "| load | offered | admitted | refused | p50 | p99 | × unloaded | p99 of an end | p99 of a refusal | ends refused | no answer | memory | /readyz, slowest |")
	_, _ = fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	unloaded := r.stage("0.5 ×").P99
	for _, rounds := range r.Stages[1:] {
		f := median(rounds)
		_, _ = fmt.Fprintf(w, "| %s | %.0f | %.0f | %.0f | %s | %s | %.1f | %s | %s | %d | %d | %d MiB | %s |\n", f.Stage, f.Offered, f.Admitted, f.Refused,
			ms(f.P50), ms(f.P99), f.P99/unloaded, ms(f.EndP99), ms(f.RefusedP99), f.EndsRefused, f.Wrong, f.RSS>>20, ms(f.Probes.Ready.Slowest))
	}
}

func ms(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 10:
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}

func splitStores(s string) []string { return strings.Split(s, ",") }

func join(lines []string) string { return strings.Join(lines, "\n  ") }
