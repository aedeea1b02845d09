package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// markdown is the tables.
func (r *results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. Medians of %d rounds of %s.\n", r.Machine, r.Rounds, r.Counted)
	for _, l := range allLoads() {
		var widths []int
		for _, w := range r.Rows {
			if w.Load == l.name && !slices.Contains(widths, w.Width) {
				widths = append(widths, w.Width)
			}
		}
		if len(widths) == 0 {
			continue
		}
		slices.Sort(widths)
		fmt.Fprintf(&b, "\n### %s\n\n", l.title)
		r.table(&b, l, widths)
	}
	r.onceTable(&b)
	return b.String()
}

func (r *results) table(b *strings.Builder, l load, widths []int) {
	header := []string{"connections", "system", l.unit, "spread", "dibs ×", "p50", "p99", "CPU of the shell", "CPU of the store"}
	fmt.Fprintf(b, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, width := range widths {
		dibs := r.find(l.name, width, "dibs")
		for _, s := range allSystems() {
			w := r.find(l.name, width, s.name)
			if w == nil {
				continue
			}
			m := w.median()
			ratio := ""
			if dibs != nil && m.PerSecond > 0 {
				ratio = fmt.Sprintf("%.2f", dibs.median().PerSecond/m.PerSecond)
			}
			fmt.Fprintf(b, "| %d | %s | %.0f | %s | %s | %s | %s | %s | %s |\n", width, s.title, m.PerSecond, w.spread(), ratio,
				micros(m.P50), micros(m.P99), micros(m.ShellCPU), micros(m.StoreCPU))
		}
	}
}

func (r *results) onceTable(b *strings.Builder) {
	if len(r.Once) == 0 {
		return
	}
	b.WriteString("\n### Syncs and allocations\n\n| system | syncs of the disk for each call of one caller | allocations of a start | of an end |\n|---|---|---|---|\n")
	for _, s := range allSystems() {
		o, ok := r.Once[s.name]
		if !ok {
			continue
		}
		start, end := "", ""
		if o.StartAllocs > 0 {
			start, end = fmt.Sprintf("%.0f", o.StartAllocs), fmt.Sprintf("%.0f", o.EndAllocs)
		}
		fmt.Fprintf(b, "| %s | %.1f | %s | %s |\n", s.title, o.Flushes, start, end)
	}
}

// micros shows a time in µs.
func micros(v float64) string {
	switch {
	case v >= 10_000:
		return fmt.Sprintf("%.0f ms", v/1e3)
	case v >= 1000:
		return fmt.Sprintf("%.1f ms", v/1e3)
	}
	return fmt.Sprintf("%.0f µs", v)
}

const (
	markBegin = "<!-- make peers: begin -->"
	markEnd   = "<!-- make peers: end -->"
)

// document replaces what stands between the marks in benchmarks.md.
func (r *results) document(dir string) error {
	name := filepath.Join(dir, "benchmarks.md")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), markBegin)
	_, after, closed := strings.Cut(rest, markEnd)
	if !ok || !closed {
		return fmt.Errorf("%s has no place for the figures: put %s and %s there", name, markBegin, markEnd)
	}
	pictures, err := r.plots(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(name, []byte(before+markBegin+"\n"+r.markdown()+pictures+markEnd+after), 0o644)
}
