package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// metrics are the labels of each series that a scrape of dibs brings, by name.
// They come from docs/observability/metrics.md, which a test of integration/
// holds to what a running server exports.
type metrics map[string][]string

func exported(t *testing.T) metrics {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(observability, "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := metrics{"up": nil} // Prometheus adds it
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]*) \\|")
	for _, row := range rows.FindAllStringSubmatch(string(text), -1) {
		of := strings.FieldsFunc(row[3], func(r rune) bool { return strings.ContainsRune("`, ", r) })
		if row[2] != "histogram" {
			known[row[1]] = of
			continue
		}
		known[row[1]+"_sum"], known[row[1]+"_count"] = of, of
		known[row[1]+"_bucket"] = append(slices.Clone(of), "le")
	}
	if len(known) < 40 {
		t.Fatalf("only %d metrics were found", len(known))
	}
	return known
}

// complaints says what an expression asks for that is not there.
func (m metrics) complaints(t *testing.T, expr string) (all []string) {
	t.Helper()
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", expr, err)}
	}
	asked := 0
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			asked++
			all = append(all, m.ofSelector(n)...)
		case *parser.AggregateExpr:
			all = append(all, m.ofGrouping(n)...)
		}
		return nil
	})
	if asked == 0 {
		all = append(all, expr+" asks for nothing")
	}
	return all
}

func (m metrics) ofSelector(s *parser.VectorSelector) (all []string) {
	has, ok := m[s.Name]
	if !ok {
		return []string{fmt.Sprintf("dibs does not export %q", s.Name)}
	}
	job := false
	for _, l := range s.LabelMatchers {
		switch {
		case l.Name == "job":
			job = true
		case l.Name != labels.MetricName && l.Name != "instance" && !slices.Contains(has, l.Name):
			all = append(all, fmt.Sprintf("%s has no label %q", s.Name, l.Name))
		}
	}
	if !job {
		all = append(all, s.Name+" of every job is asked for")
	}
	return all
}

// ofGrouping looks at the labels of "by". A label counts if anything in the
// aggregation has it.
func (m metrics) ofGrouping(a *parser.AggregateExpr) (all []string) {
	if a.Without {
		return nil
	}
	has := []string{"job", "instance"}
	parser.Inspect(a.Expr, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			has = append(has, m[s.Name]...)
		}
		return nil
	})
	for _, l := range a.Grouping {
		if !slices.Contains(has, l) {
			all = append(all, fmt.Sprintf("grouped by %q, which nothing in %s has", l, a.Expr))
		}
	}
	return all
}

// The check finds what it is there for.
func TestComplaints(t *testing.T) {
	m := metrics{"a_total": {"kind"}, "b_bucket": {"le"}}
	for expr, want := range map[string]int{
		`rate(a_total{job="dibs",kind="x"}[5m])`:                 0,
		`sum by (le, instance) (rate(b_bucket{job="dibs"}[5m]))`: 0,
		`rate(a_totl{job="dibs"}[5m])`:                           1,
		`rate(a_total{job="dibs",kid="x"}[5m])`:                  1,
		`a_total`:                                                1,
		`sum by (kind) (b_bucket{job="dibs"})`:                   1,
		`sum by (`:                                               1,
		`1`:                                                      1,
	} {
		if got := m.complaints(t, expr); len(got) != want {
			t.Errorf("%s: %q, want %d complaints", expr, got, want)
		}
	}
}
