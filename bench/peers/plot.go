package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The picture, in pixels. It is a dozen bars, which does not take a library.
const (
	plotWidth, plotHead    = 880, 58
	barHeight, barGap      = 18, 5
	groupHead, labelWidth  = 26, 170
	plotRight, valuesWidth = 24, 130
)

// colour: dibs stands out, what is no rival steps back.
func colour(s system) string {
	switch {
	case strings.HasPrefix(s.name, "dibs"):
		return "#0072b2"
	case !s.claim:
		return "#cccccc"
	}
	return "#e69f00"
}

// plots writes a picture for each load and figure, and returns the Markdown that
// shows them.
func (r *results) plots(dir string) (string, error) {
	if err := os.MkdirAll(filepath.Join(dir, "benchmarks"), 0o755); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range []struct {
		file, load, title string
		value             func(figures) float64
		show              func(float64) string
	}{
		{"calls.svg", "calls", "Calls (start + end) a second, by connections: more is better",
			func(f figures) float64 { return f.PerSecond }, func(v float64) string { return fmt.Sprintf("%.0f", v) }},
		{"p99.svg", "calls", "p99 of a start, by connections: less is better",
			func(f figures) float64 { return f.P99 }, micros},
		{"refusals.svg", "refusals", "Refused starts a second, by connections: more is better",
			func(f figures) float64 { return f.PerSecond }, func(v float64) string { return fmt.Sprintf("%.0f", v) }},
	} {
		picture := r.bars(p.load, p.title, p.value, p.show)
		if picture == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "benchmarks", p.file), []byte(picture), 0o644); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n![%s](benchmarks/%s)\n", p.title, p.file)
	}
	return b.String(), nil
}

// bars draws a group of bars for each width; empty: there is nothing to draw.
func (r *results) bars(load, title string, value func(figures) float64, show func(float64) string) string {
	widths, top := r.extent(load, value)
	if len(widths) == 0 {
		return ""
	}
	var b strings.Builder
	y := plotHead
	text := func(x, y int, anchor, style, s string) {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, html.EscapeString(s))
	}
	text(24, 32, "start", `font-size="16" font-weight="600"`, title)
	for _, width := range widths {
		text(24, y+groupHead-9, "start", `font-weight="600" fill="#666666"`, fmt.Sprintf("%d connections", width))
		y += groupHead
		for _, s := range allSystems() {
			w := r.find(load, width, s.name)
			if w == nil {
				continue
			}
			v := value(w.median())
			text(24+labelWidth, y+13, "end", "", s.title)
			long := max(1, int(v/top*(plotWidth-24-labelWidth-10-plotRight-valuesWidth)))
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", 24+labelWidth+10, y, long, barHeight, colour(s))
			text(24+labelWidth+10+long+8, y+13, "start", `fill="#666666"`, show(v))
			y += barHeight + barGap
		}
		y += 14
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="13" fill="#333333">`+
		"\n"+`<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", plotWidth, y, plotWidth, y, plotWidth, y) + b.String() + "</svg>\n"
}

// extent is which widths there are, and the largest value.
func (r *results) extent(load string, value func(figures) float64) (widths []int, top float64) {
	for i := range r.Rows {
		if w := &r.Rows[i]; w.Load == load {
			if !slices.Contains(widths, w.Width) {
				widths = append(widths, w.Width)
			}
			top = max(top, value(w.median()))
		}
	}
	slices.Sort(widths)
	return widths, top
}
