package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/dibs-calls/dibs/fleet"
	"github.com/schollz/progressbar/v3"
)

// benchProgress shows a person how far a run is.
type benchProgress struct {
	bar  *progressbar.ProgressBar // nil: nobody is looking
	plan *fleet.Plan
}

func newBenchProgress(stderr io.Writer, p *fleet.Plan) *benchProgress {
	b := &benchProgress{plan: p}
	if isTerminal(stderr) {
		b.bar = progressbar.NewOptions64(int64(p.End()/time.Millisecond), progressbar.OptionSetWriter(stderr),
			progressbar.OptionSetDescription("starting"), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(24))
	}
	return b
}

// watch shows what was seen since the last time. What cannot be shown is no reason
// to stop.
func (b *benchProgress) watch(p fleet.Progress) {
	if b.bar == nil {
		return
	}
	phase := "ramp"
	switch {
	case p.Elapsed >= b.plan.Begin():
		phase = "counting"
	case p.Elapsed >= b.plan.Ramp:
		phase = "warm-up"
	}
	text := fmt.Sprintf("%-8s %6.0f calls/s  slowest %-7s", phase, float64(p.Calls)/p.Since.Seconds(), fleet.Short(p.Slowest))
	if p.Wrong > 0 {
		text += fmt.Sprintf("  %d went wrong", p.Wrong)
	}
	if p.Broken > 0 {
		text += fmt.Sprintf("  %d PROMISES BROKEN", p.Broken)
	}
	b.bar.Describe(text)
	_ = b.bar.Set64(min(int64(p.Elapsed/time.Millisecond), int64(b.plan.End()/time.Millisecond)-1))
}

func (b *benchProgress) finish() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}

func benchTitle(cfg *benchConfig, t *fleet.Tally) string {
	over := "HTTP"
	if cfg.NATS.URL != "" {
		over = "NATS"
	}
	return fmt.Sprintf("%d agents, %d clients, over %s: %.0f calls a second for %s", t.Plan.Agents, t.Plan.Clients, over, t.PerSecond(t.Calls), t.Counted.Round(time.Second))
}

// printBench prints the summary for a person.
func printBench(w io.Writer, t *fleet.Tally) error {
	pace := fmt.Sprintf("think %s, talk %s, wrap up %s", t.Plan.Think, t.Plan.Talk, t.Plan.WrapUp)
	if t.Plan.Flat() {
		pace = "flat out (latency from sending: nothing had an appointment)"
	}
	_, _ = fmt.Fprintf(w, "%d agents, %d clients, %s\ncounted %s, seed %d\n\n", t.Plan.Agents, t.Plan.Clients, pace, t.Counted.Round(time.Millisecond), t.Plan.Seed)
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(tab, "\ta second\tp50\tp90\tp99\tp99.9\tlongest\t")
	for verb := range fleet.Verbs {
		v := &t.Verbs[verb]
		if v.Total() == 0 {
			continue
		}
		_, _ = fmt.Fprintf(tab, "%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t\n", verb, t.PerSecond(v.Total()),
			fleet.Short(v.At(50)), fleet.Short(v.At(90)), fleet.Short(v.At(99)), fleet.Short(v.At(99.9)), fleet.Short(v.At(100)))
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "\n%.1f calls a second (started and ended); %d starts refused, their client was being called\n", t.PerSecond(t.Calls), t.Refused)
	for _, detail := range slices.Sorted(maps.Keys(t.Details)) {
		_, _ = fmt.Fprintf(w, "%6d × %s\n", t.Details[detail], detail)
	}
	promises := "I1, I2, I4 and I6 held"
	if t.Broken > 0 {
		promises = fmt.Sprintf("promises were BROKEN %d times", t.Broken)
	}
	_, err := fmt.Fprintf(w, "%s: %d starts and refusals were checked%s\n", promises, t.Judged, unjudged(t))
	return err
}

func unjudged(t *fleet.Tally) string {
	if t.Others == 0 {
		return ""
	}
	return fmt.Sprintf(", %d refusals were for calls of others", t.Others)
}

// benchFigures is the JSON form of a run. Times are in milliseconds.
type benchFigures struct {
	Agents         int                     `json:"agents"`
	Clients        int                     `json:"clients"`
	Seed           uint64                  `json:"seed"`
	FlatOut        bool                    `json:"flat_out"`
	Seconds        float64                 `json:"seconds"`
	Calls          int                     `json:"calls"`
	CallsPerSecond float64                 `json:"calls_per_second"`
	Refused        int                     `json:"refused"`
	Requests       map[string]benchRequest `json:"requests"`
	WentWrong      map[string]int          `json:"went_wrong"`
	Checked        int                     `json:"checked"`
	NotChecked     int                     `json:"not_checked"`
	Broken         int                     `json:"promises_broken"`
	Violations     []benchViolation        `json:"violations"`
}

type benchRequest struct {
	PerSecond float64            `json:"per_second"`
	Outcomes  map[string]int     `json:"outcomes"`
	Latency   map[string]float64 `json:"latency_ms"`
}

type benchViolation struct {
	Promise string `json:"promise"`
	What    string `json:"what"`
}

func printBenchJSON(w io.Writer, t *fleet.Tally) error {
	f := benchFigures{
		Agents: t.Plan.Agents, Clients: t.Plan.Clients, Seed: t.Plan.Seed, FlatOut: t.Plan.Flat(), Seconds: t.Counted.Seconds(),
		Calls: t.Calls, CallsPerSecond: t.PerSecond(t.Calls), Refused: t.Refused, Requests: map[string]benchRequest{},
		WentWrong: t.Details, Checked: t.Judged, NotChecked: t.Others, Broken: t.Broken, Violations: []benchViolation{},
	}
	for _, v := range t.Violations {
		f.Violations = append(f.Violations, benchViolation(v))
	}
	for verb := range fleet.Verbs {
		v := &t.Verbs[verb]
		if v.Total() == 0 {
			continue
		}
		r := benchRequest{PerSecond: t.PerSecond(v.Total()), Outcomes: map[string]int{}, Latency: map[string]float64{}}
		for o, n := range v.Outcomes {
			if n > 0 {
				r.Outcomes[fleet.Outcome(o).String()] = n
			}
		}
		for name, percent := range map[string]float64{"p50": 50, "p90": 90, "p99": 99, "p99.9": 99.9, "max": 100} {
			r.Latency[name] = float64(v.At(percent)) / float64(time.Millisecond)
		}
		f.Requests[verb.String()] = r
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(f)
}
