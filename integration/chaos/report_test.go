package chaos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// report is what a run found.
type report struct {
	Seed      uint64        `json:"seed"`
	Lasted    time.Duration `json:"lasted"`
	Asked     time.Duration `json:"asked_for"`
	Results   []conclusion  `json:"results"`
	Incidents []incident    `json:"incidents"`
	LeftOut   []string      `json:"left_out"`

	w *world
}

// conclusion is what was found in a deployment.
type conclusion struct {
	Deployment  string  `json:"deployment"`
	Histories   verdict `json:"histories"`
	Events      int     `json:"events"`
	EventsTwice int     `json:"events_twice"`

	Starts    int64 `json:"starts"`
	Ends      int64 `json:"ends"`
	Renewals  int64 `json:"renewals"`
	Reads     int64 `json:"reads"`
	Conflicts int64 `json:"conflicts"` // of these: refused as the rules are
	Lost      int64 `json:"lost"`      // not answered
	Refused   int64 `json:"refused"`   // refused because of a fault; nothing was done
	Repeated  int64 `json:"repeated"`  // sent again with a key that had been answered
	Restarts  int   `json:"restarts"`  // nodes that ended by themselves

	Violations []string `json:"violations"`
	Notes      []string `json:"notes"`
}

func newReport(w *world, seed uint64, asked time.Duration, incidents []incident) *report {
	return &report{Seed: seed, Asked: asked, Lasted: w.team.book.now(), Incidents: incidents, LeftOut: w.leftOut, w: w}
}

// add completes what was found in a deployment by what was counted there.
func (r *report) add(c conclusion) {
	for _, d := range r.w.deployments() {
		if d.name != c.Deployment {
			continue
		}
		b := d.book
		c.Starts, c.Ends, c.Renewals, c.Reads = b.starts.Load(), b.ends.Load(), b.renewals.Load(), b.reads.Load()
		c.Conflicts, c.Lost, c.Refused, c.Repeated = b.conflicts.Load(), b.lost.Load(), b.refused.Load(), b.repeated.Load()
		c.Violations, c.Notes = b.defects.all(), b.notes.all()
		for _, n := range d.nodes {
			c.Restarts += n.deaths
		}
	}
	r.Results = append(r.Results, c)
}

// write says it: violations fail the test, the rest is logged, and both forms
// of the report go to folder, unless it is empty.
func (r *report) write(t *testing.T, folder string) {
	t.Helper()
	for _, c := range r.Results {
		for _, v := range c.Violations {
			t.Errorf("%s: %s", c.Deployment, v)
		}
	}
	text := r.markdown()
	t.Log("\n" + text)
	if folder == "" {
		return
	}
	raw, err := json.MarshalIndent(r, "", "  ")
	must(t, err)
	must(t, os.MkdirAll(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, "chaos.json"), raw, 0o644))
	must(t, os.WriteFile(filepath.Join(folder, "chaos.md"), []byte(text), 0o644))
}

func (r *report) violations() (n int) {
	for _, c := range r.Results {
		n += len(c.Violations)
	}
	return n
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Chaos: %d faults in %v, %d violations\n\n", len(r.Incidents), r.Lasted.Round(time.Second), r.violations())
	fmt.Fprintf(&b, "Seed %d. To replay: `make chaos DURATION=%v SEED=%d`.\n\n", r.Seed, r.Asked, r.Seed)
	r.writeResults(&b)
	r.writeFaults(&b)
	for _, c := range r.Results {
		writeList(&b, "Violations in "+c.Deployment, c.Violations)
		writeList(&b, "Notes on "+c.Deployment, c.Notes)
	}
	writeList(&b, "Faults that could not be made here", r.LeftOut)
	return b.String()
}

func (r *report) writeResults(b *strings.Builder) {
	b.WriteString("## What was asked\n\nTeam: nodes on Postgres and NATS. Solo: a node with the built-in store and NATS.\n\n| | " +
		strings.Join(names(r.Results), " | ") + " |\n|---|" + strings.Repeat("---:|", len(r.Results)) + "\n")
	line := func(name string, value func(c *conclusion) int64) {
		fmt.Fprintf(b, "| %s |", name)
		for i := range r.Results {
			fmt.Fprintf(b, " %d |", value(&r.Results[i]))
		}
		b.WriteString("\n")
	}
	line("starts answered", func(c *conclusion) int64 { return c.Starts })
	line("ends answered", func(c *conclusion) int64 { return c.Ends })
	line("renewals answered", func(c *conclusion) int64 { return c.Renewals })
	line("availability answered", func(c *conclusion) int64 { return c.Reads })
	line("of these refused as the rules are", func(c *conclusion) int64 { return c.Conflicts })
	line("sent again with an answered key", func(c *conclusion) int64 { return c.Repeated })
	line("never answered", func(c *conclusion) int64 { return c.Lost })
	line("refused because of a fault", func(c *conclusion) int64 { return c.Refused })
	line("histories checked", func(c *conclusion) int64 { return int64(c.Histories.Teams) })
	line("events on the stream", func(c *conclusion) int64 { return int64(c.Events) })
	line("events that came twice", func(c *conclusion) int64 { return int64(c.EventsTwice) })
	line("nodes that ended by themselves", func(c *conclusion) int64 { return int64(c.Restarts) })
	line("violations", func(c *conclusion) int64 { return int64(len(c.Violations)) })
}

func names(results []conclusion) (all []string) {
	for _, c := range results {
		all = append(all, c.Deployment)
	}
	return all
}

// cost is what the faults of a kind cost.
type cost struct {
	kind                   string
	n, alone               int
	broken, silence, after time.Duration // the longest
	slowest                time.Duration
}

func (r *report) writeFaults(b *strings.Builder) {
	kinds := map[string]*cost{}
	for _, in := range r.Incidents {
		c := kinds[in.Kind]
		if c == nil {
			c = &cost{kind: in.Kind}
			kinds[in.Kind] = c
		}
		c.n++
		c.broken = max(c.broken, in.Repaired-in.Begun)
		if in.Together {
			continue
		}
		c.alone++
		c.silence = max(c.silence, in.Silence)
		c.after = max(c.after, in.Well-in.Repaired)
		c.slowest = max(c.slowest, in.Slowest)
	}
	b.WriteString("\n## What it cost\n\nThe longest of each kind, as probes saw it that start and end calls all the time: *broken* is the fault\n" +
		"itself, *nobody served* the longest time without an answer from any node, *others' slowest* the\nslowest answer of nodes that the fault was not about, *until well* from the repair until every node was ready.\n" +
		"Faults that came two at a time count in the first two columns only.\n\n" +
		"| fault | times | broken | nobody served | others' slowest | until well |\n|---|---:|---:|---:|---:|---:|\n")
	for _, c := range slices.SortedFunc(maps.Values(kinds), func(x, y *cost) int { return cmp.Compare(x.kind, y.kind) }) {
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %s |\n", c.kind, c.n, short(c.broken), short(c.silence), short(c.slowest), short(c.after))
	}
}

func short(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return d.Round(10 * time.Millisecond).String()
}

func writeList(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	for _, l := range lines {
		fmt.Fprintf(b, "- %s\n", l)
	}
}
