package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// verdict is the run in a few words.
func (r *report) verdict() string {
	switch n := len(r.total().Violations); {
	case n == 1:
		return "1 violation"
	case n > 1:
		return fmt.Sprintf("%s violations", grouped(int64(n)))
	case r.incomplete():
		return "no violation, but not every fault came"
	}
	return "no violation"
}

// markdown is the report for people.
func (r *report) markdown() string {
	var b strings.Builder
	total := r.total()
	n, kinds := r.faults()
	fmt.Fprintf(&b, "# Chaos: %s\n\n", r.verdict())
	fmt.Fprintf(&b, "%s faults of %d kinds in %v, while callers sent %s requests.\n\n",
		grouped(int64(n)), kinds, r.Lasted.Round(time.Second), grouped(total.requests()))
	r.writeFacts(&b)
	for _, p := range r.Parts {
		for _, c := range p.Results {
			writeList(&b, fmt.Sprintf("Violations: %s, %s", p.Shape, c.Deployment), c.Violations)
		}
	}
	r.writePromises(&b)
	r.writeCosts(&b)
	r.writeRequests(&b)
	var leftOut []string
	for _, p := range r.Parts {
		for _, c := range p.Results {
			writeList(&b, fmt.Sprintf("Notes: %s, %s", p.Shape, c.Deployment), counted(c.Notes))
		}
		leftOut = append(leftOut, p.LeftOut...)
	}
	writeList(&b, "Faults that could not be made here", counted(leftOut))
	r.writeIncidents(&b)
	return b.String()
}

// writeIncidents lists every fault, folded up.
func (r *report) writeIncidents(b *strings.Builder) {
	b.WriteString("\n<details><summary>Every fault, in order</summary>\n\n" +
		"| | at | fault | of | broken | nobody served | failed | until well |\n|---|---:|---|---|---:|---:|---:|---:|\n")
	for _, p := range r.Parts {
		for i := range p.Incidents {
			in := &p.Incidents[i]
			what := in.What
			if in.NotMade {
				what += " (it could not be made)"
			}
			fmt.Fprintf(b, "| %s | %v | %s | %s | %s | %s | %d | %s |\n", p.Shape, in.Begun.Round(100*time.Millisecond), in.Kind, what,
				short(in.Repaired-in.Begun), short(in.Silence), in.Missed, short(in.Well-in.Repaired))
		}
	}
	b.WriteString("\n</details>\n")
}

func (r *report) writeFacts(b *strings.Builder) {
	fact := func(name, value string) { fmt.Fprintf(b, "| %s | %s |\n", name, value) }
	b.WriteString("| | |\n|---|---|\n")
	fact("begun", r.Began.UTC().Format("2006-01-02 15:04 UTC"))
	if r.Version != "" {
		fact("version", r.Version)
	}
	fact("machine", r.Machine)
	fact("seed", strconv.FormatUint(r.Seed, 10))
	fact("again", "`"+r.replay()+"`")
	for _, p := range r.Parts {
		fact(string(p.Shape), fmt.Sprintf("%v, %d faults", p.Lasted.Round(time.Second), len(p.Incidents)))
	}
	switch {
	case len(r.Missing) == 0:
		fact("faults that did not come", "none")
	default:
		fact("**faults that did not come**", strings.Join(r.Missing, "; "))
	}
}

// writePromises says how much each promise was held to.
func (r *report) writePromises(b *strings.Builder) {
	total := r.total()
	count := map[string]int{}
	for _, v := range total.Violations {
		count[promiseOf(v)]++
	}
	b.WriteString("\n## What was promised\n\n| | held to | violations |\n|---|---|---:|\n")
	line := func(names, text string, args ...any) {
		n := 0
		for _, name := range strings.Split(names, ", ") {
			n += count[name]
		}
		fmt.Fprintf(b, "| %s | %s | %d |\n", names, fmt.Sprintf(text, args...), n)
	}
	line("I1, I2, I4, I6", "%s histories of %s requests, each of which must have happened in some order",
		grouped(int64(total.Histories.Teams)), grouped(int64(total.Histories.Requests)))
	line("I3", "%s starts and %s ends that were answered", grouped(total.Starts), grouped(total.Ends))
	line("I5, I7", "%s events on the stream, one for each start and end in the store (%s came twice)",
		grouped(int64(total.Events)), grouped(int64(total.EventsTwice)))
	line("I8", "%s requests sent again with a key that had been answered, and every call in the store", grouped(total.Repeated))
	line("besides", "answers that nobody may get, nodes and disks that must come back, lists that must be right at the end")
}

// promiseOf is which promise a violation is of.
func promiseOf(violation string) string {
	if name, _, ok := strings.Cut(violation, ":"); ok && len(name) == 2 && name[0] == 'I' {
		return name
	}
	if strings.Contains(violation, "cannot be explained") {
		return "I4"
	}
	return "besides"
}

func (r *report) writeCosts(b *strings.Builder) {
	costs := r.costs()
	b.WriteString("\n## What broke, and what it cost\n\nAs probes saw it, which start and end calls through every node all the time; at worst.\n" +
		"*Broken*: how long the fault lasted. *Nobody served*: the longest time without an answer from any node,\n" +
		"in each shape. *Failed*: requests that were refused or not answered, most of them at the node concerned.\n" +
		"*Others*: the slowest answer of nodes that the fault was not about. *Until well*: from the repair until\n" +
		"every node was ready. Faults that came two at a time count in the first two columns alone.\n\n| | times | broken |")
	for _, p := range r.Parts {
		fmt.Fprintf(b, " nobody served: %s |", p.Shape)
	}
	b.WriteString(" failed | others | until well |\n|---" + strings.Repeat("|---:", 5+len(r.Parts)) + "|\n")
	for _, f := range families() {
		heading := false
		for _, k := range f.kinds {
			c := costs[k.name]
			if c == nil {
				continue
			}
			if !heading {
				fmt.Fprintf(b, "| **%s** |%s\n", f.name, strings.Repeat(" |", 5+len(r.Parts)))
				heading = true
			}
			fmt.Fprintf(b, "| %s | %d | %s |", k.name, c.n, short(c.broken))
			for _, p := range r.Parts {
				fmt.Fprintf(b, " %s |", short(c.silences[p.Shape]))
			}
			fmt.Fprintf(b, " %s | %s | %s |\n", grouped(int64(c.missed)), short(c.slowest), short(c.well))
		}
	}
}

// writeRequests says what was asked: of each shape, and of the built-in store.
func (r *report) writeRequests(b *strings.Builder) {
	var names []string
	var columns []*conclusion
	alone := &conclusion{}
	for i := range r.Parts {
		for j := range r.Parts[i].Results {
			if c := &r.Parts[i].Results[j]; c.Deployment == "solo" {
				alone.plus(c)
			} else {
				names, columns = append(names, string(r.Parts[i].Shape)), append(columns, c)
			}
		}
	}
	names, columns = append(names, "built-in store"), append(columns, alone)
	fmt.Fprintf(b, "\n## What was asked\n\n| | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---:|", len(names)))
	line := func(name string, value func(c *conclusion) string) {
		fmt.Fprintf(b, "| %s |", name)
		for _, c := range columns {
			fmt.Fprintf(b, " %s |", value(c))
		}
		b.WriteString("\n")
	}
	number := func(name string, value func(c *conclusion) int64) {
		line(name, func(c *conclusion) string { return grouped(value(c)) })
	}
	number("starts answered", func(c *conclusion) int64 { return c.Starts })
	number("ends answered", func(c *conclusion) int64 { return c.Ends })
	number("renewals answered", func(c *conclusion) int64 { return c.Renewals })
	number("availability answered", func(c *conclusion) int64 { return c.Reads })
	number("of these refused as the rules are", func(c *conclusion) int64 { return c.Conflicts })
	number("sent again with an answered key", func(c *conclusion) int64 { return c.Repeated })
	number("never answered", func(c *conclusion) int64 { return c.Lost })
	number("refused because of a fault", func(c *conclusion) int64 { return c.Refused })
	number("histories", func(c *conclusion) int64 { return int64(c.Histories.Teams) })
	number("events on the stream", func(c *conclusion) int64 { return int64(c.Events) })
	number("events that came twice", func(c *conclusion) int64 { return int64(c.EventsTwice) })
	number("nodes that ended by themselves", func(c *conclusion) int64 { return int64(c.Restarts) })
	line("nobody served, in all", func(c *conclusion) string { return short(c.Away) })
	number("violations", func(c *conclusion) int64 { return int64(len(c.Violations)) })
}

// requests is how many were sent.
func (c *conclusion) requests() int64 {
	return c.Starts + c.Ends + c.Renewals + c.Reads + c.Repeated + c.Lost + c.Refused
}

// table is the report for a terminal.
func (r *report) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	costs := r.costs()
	fmt.Fprint(w, "fault\ttimes\tnobody served\tfailed\tuntil well\t\n")
	for _, f := range families() {
		for _, k := range f.kinds {
			if c := costs[k.name]; c != nil {
				fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%s\t\n", k.name, c.n, short(c.silence()), c.missed, short(c.well))
			}
		}
	}
	_ = w.Flush() // into memory
	n, kinds := r.faults()
	total := r.total()
	fmt.Fprintf(&b, "\n%s: %d faults of %d kinds in %v, %s requests in %s histories, %s events\n", r.verdict(),
		n, kinds, r.Lasted.Round(time.Second), grouped(total.requests()), grouped(int64(total.Histories.Teams)), grouped(int64(total.Events)))
	if len(r.Missing) > 0 {
		fmt.Fprintf(&b, "did not come: %s\n", strings.Join(r.Missing, "; "))
	}
	fmt.Fprintf(&b, "again: %s\n", r.replay())
	return b.String()
}

// grouped writes a number with commas between the thousands.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func short(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// counted says each line once, and how often it was there.
func counted(lines []string) (once []string) {
	n := map[string]int{}
	for _, l := range lines {
		if n[l]++; n[l] == 1 {
			once = append(once, l)
		}
	}
	for i, l := range once {
		if n[l] > 1 {
			once[i] = fmt.Sprintf("%s (%d times)", l, n[l])
		}
	}
	return once
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
