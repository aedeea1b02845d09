package fleet

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
	"time"
)

// The picture, in pixels.
const (
	width, height            = 880, 520
	left, right, top, bottom = 78, 36, 128, 56 // top has room for the title and three lines
)

// nines are the shares of answers on the axis: each step leaves a tenth of what
// the last one left.
func nines() []float64 { return []float64{0, 50, 90, 99, 99.9, 99.99, 99.999} }

// curve is one kind of request in the picture. The colours are told apart by
// people who see few of them (Okabe and Ito, 2008).
type curve struct {
	verb   Verb
	colour string
}

func curves() []curve {
	return []curve{{Start, "#0072b2"}, {End, "#e69f00"}, {Look, "#009e73"}, {List, "#cc79a7"}, {Double, "#d55e00"}}
}

// WritePlot writes how latency is spread, as an SVG picture: the share of answers
// from left to right, each mark a tenth of what is left, and below which time
// they came, both as logarithms. That is how HdrHistogram's own plots look.
//
// It draws a handful of lines, so it does not need a plotting library, whose
// fonts and formats would come along into the binary.
func WritePlot(w io.Writer, t *Tally, title string) error {
	p := newPicture(t)
	p.frame(title)
	y := 72
	for _, c := range curves() {
		if v := &t.Verbs[c.verb]; v.Latency.TotalCount() > 0 {
			p.curve(v, c.colour)
			p.legend(c, v, y)
			y += 20
		}
	}
	p.b.WriteString("</svg>\n")
	_, err := io.WriteString(w, p.b.String())
	return err
}

type picture struct {
	b         strings.Builder
	low, high float64 // of the time axis, decades in µs
	deepest   float64 // of the axis of shares, decades
}

func newPicture(t *Tally) *picture {
	low, high, count := math.MaxInt64, 1, int64(10)
	for i := range t.Verbs {
		if h := t.Verbs[i].Latency; h.TotalCount() > 0 {
			low, high = min(low, int(h.Min())), max(high, int(h.Max()))
			count = max(count, h.TotalCount())
		}
	}
	p := &picture{low: math.Floor(math.Log10(float64(max(1, min(low, high))))), high: math.Ceil(math.Log10(float64(high)))}
	p.high = max(p.high, p.low+1)
	// A share that fewer than one of the answers can be in says nothing.
	p.deepest = min(5, max(1, math.Ceil(math.Log10(float64(count)))))
	return p
}

// x is where a share (0 to 100) stands.
func (p *picture) x(percent float64) float64 {
	decades := min(p.deepest, -math.Log10(max(1e-9, 1-percent/100)))
	return left + (width-left-right)*decades/p.deepest
}

// y is where a time in µs stands.
func (p *picture) y(micros float64) float64 {
	share := (math.Log10(max(1, micros)) - p.low) / (p.high - p.low)
	return height - bottom - (height-top-bottom)*min(1, max(0, share))
}

func (p *picture) text(x, y float64, anchor, style, s string) {
	fmt.Fprintf(&p.b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, html.EscapeString(s))
}

func (p *picture) line(x1, y1, x2, y2 float64) {
	fmt.Fprintf(&p.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#dddddd"/>`+"\n", x1, y1, x2, y2)
}

func (p *picture) frame(title string) {
	fmt.Fprintf(&p.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="13" fill="#333333">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&p.b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	p.text(left, 28, "start", `font-size="16" font-weight="600"`, "Latency")
	p.text(left, 48, "start", `fill="#666666"`, title)
	for d := p.low; d <= p.high; d++ {
		y := p.y(math.Pow(10, d))
		p.line(left, y, width-right, y)
		p.text(left-10, y+4, "end", "", Short(time.Duration(math.Pow(10, d))*time.Microsecond))
	}
	for _, n := range nines() {
		if -math.Log10(1-n/100) > p.deepest+1e-9 {
			break
		}
		p.line(p.x(n), top, p.x(n), height-bottom)
		p.text(p.x(n), height-bottom+20, "middle", "", fmt.Sprintf("%g%%", n))
	}
	p.text((left+width-right)/2, height-12, "middle", `fill="#666666"`, "share of answers that came within")
}

// curve draws a point for each fiftieth of a decade of the share.
func (p *picture) curve(v *VerbTally, colour string) {
	var points []string
	seen := math.Log10(float64(v.Latency.TotalCount())) // beyond, it is one answer
	for d := 0.0; d <= min(p.deepest, seen)+1e-9; d += 0.02 {
		percent := 100 * (1 - math.Pow(10, -d))
		points = append(points, fmt.Sprintf("%.1f,%.1f", p.x(percent), p.y(float64(v.Latency.ValueAtQuantile(percent)))))
	}
	fmt.Fprintf(&p.b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", colour, strings.Join(points, " "))
}

func (p *picture) legend(c curve, v *VerbTally, y int) {
	fmt.Fprintf(&p.b, `<rect x="%d" y="%d" width="14" height="4" fill="%s"/>`+"\n", left, y-6, c.colour)
	p.text(left+22, float64(y), "start", "", fmt.Sprintf("%s: p50 %s, p99 %s, longest %s", c.verb,
		Short(v.At(50)), Short(v.At(99)), Short(time.Duration(v.Latency.Max())*time.Microsecond)))
}

// Short shows a time with three digits at most, as the picture does.
func Short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.3g s", d.Seconds())
	case d >= time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d µs", d.Microseconds())
}
