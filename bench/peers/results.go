package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dibs-calls/dibs/bench/guard"
)

// results are the figures of a run, or of several that measured different loads.
type results struct {
	Machine string
	Rounds  int
	Counted string // of each round
	Rows    []row
	Once    map[string]once // by system
}

// row is all rounds of one system under one load at one width.
type row struct {
	Load   string
	Width  int
	System string
	Rounds []figures
}

// once is what was measured once of a system.
type once struct {
	Flushes                float64 // syncs of the disk for each call of a lone caller
	StartAllocs, EndAllocs float64 // allocations; dibs only
}

// readResults reads the figures that are kept in a file, if there are any.
func readResults(name string) (*results, error) {
	r := &results{Once: map[string]once{}}
	if name == "" {
		return r, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return r, json.Unmarshal(text, r)
}

func (r *results) write(name string) error {
	if name == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}

// add adds a round; the first of a run replaces what an earlier run had there.
func (r *results) add(load string, width int, system string, round int, f figures) {
	found := r.find(load, width, system)
	if found == nil {
		r.Rows = append(r.Rows, row{Load: load, Width: width, System: system})
		found = &r.Rows[len(r.Rows)-1]
	}
	if round == 0 {
		found.Rounds = nil
	}
	found.Rounds = append(found.Rounds, f)
}

func (r *results) find(load string, width int, system string) *row {
	for i := range r.Rows {
		if w := &r.Rows[i]; w.Load == load && w.Width == width && w.System == system {
			return w
		}
	}
	return nil
}

// guard notes how dibs stands beside the others.
func (r *results) guard(g *guard.Guard) {
	for i := range r.Rows {
		w := &r.Rows[i]
		for _, name := range []string{"dibs", heard, "dibs-sqlite"} {
			dibs, other := r.find(w.Load, w.Width, name), w.median().PerSecond
			if dibs != nil && other > 0 && !strings.HasPrefix(w.System, "dibs") {
				g.See(fmt.Sprintf("http/%s/%d/%s over %s", w.Load, w.Width, name, w.System), dibs.median().PerSecond/other)
			}
		}
	}
}

// median is the median of each figure by itself; nothing is lost of what went
// wrong.
func (w *row) median() (m figures) {
	mid := func(f func(figures) float64) float64 {
		v := make([]float64, 0, len(w.Rounds))
		for _, r := range w.Rounds {
			v = append(v, f(r))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	m.PerSecond = mid(func(f figures) float64 { return f.PerSecond })
	m.P50, m.P99 = mid(func(f figures) float64 { return f.P50 }), mid(func(f figures) float64 { return f.P99 })
	m.ShellCPU, m.StoreCPU = mid(func(f figures) float64 { return f.ShellCPU }), mid(func(f figures) float64 { return f.StoreCPU })
	for _, f := range w.Rounds {
		m.Wrong += f.Wrong
		m.Broken += f.Broken
	}
	return m
}

// spread is the lowest and the highest rate.
func (w *row) spread() string {
	by := func(a, b figures) int { return cmp.Compare(a.PerSecond, b.PerSecond) }
	return fmt.Sprintf("%.0f–%.0f", slices.MinFunc(w.Rounds, by).PerSecond, slices.MaxFunc(w.Rounds, by).PerSecond)
}
