package scale

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// text writes a value for a person.
func (f figure) text() string {
	switch f.unit {
	case millis:
		if f.value < 10 {
			return fmt.Sprintf("%.1f ms", f.value)
		}
		return fmt.Sprintf("%.0f ms", f.value)
	case seconds:
		return fmt.Sprintf("%.1f s", f.value)
	case mebibytes:
		if f.value < 10<<20 {
			return fmt.Sprintf("%.2f MiB", f.value/(1<<20))
		}
		return fmt.Sprintf("%.0f MiB", f.value/(1<<20))
	case bytesEach:
		return fmt.Sprintf("%.0f B", f.value)
	}
	return fmt.Sprintf("%.0f/s", f.value)
}

func (f figure) limitText() string {
	if f.limit == 0 {
		return ""
	}
	return figure{value: f.limit, unit: f.unit}.text()
}

// sizesTable has a column for each deployment.
func sizesTable(sizes []size, all []figures) string {
	var b strings.Builder
	b.WriteString("| |")
	for _, s := range sizes {
		fmt.Fprintf(&b, " %s |", s)
	}
	b.WriteString(" at most |\n|---|" + strings.Repeat("---|", len(sizes)+1) + "\n")
	for i, f := range all[0] {
		fmt.Fprintf(&b, "| %s |", f.what)
		for _, of := range all {
			fmt.Fprintf(&b, " %s |", of[i].text())
		}
		fmt.Fprintf(&b, " %s |\n", f.limitText())
	}
	return b.String()
}

// dayTable has a row for each look.
func dayTable(samples []sample) string {
	var b strings.Builder
	b.WriteString("| calls | calls/s | resident | event stream | past their time |")
	for _, name := range watched() {
		fmt.Fprintf(&b, " `%s` + indexes, dead rows |", name)
	}
	b.WriteString("\n|" + strings.Repeat("---|", 5+len(watched())) + "\n")
	for _, s := range samples {
		fmt.Fprintf(&b, "| %s | %.0f | %d MiB | %d MiB | %s |", thousands(s.calls), s.perSecond, s.resident>>20, s.stream>>20, thousands(s.old))
		for _, name := range watched() {
			x := s.tables[name]
			fmt.Fprintf(&b, " %.1f + %.1f MiB, %s |", float64(x.bytes)/(1<<20), float64(x.indexes)/(1<<20), thousands(int(x.dead)))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// document replaces what stands between the marks of a part in benchmarks.md.
func document(t *testing.T, part, text string) {
	t.Helper()
	t.Log("\n" + text)
	if *options.docs == "" {
		return
	}
	name := filepath.Join(*options.docs, "benchmarks.md")
	all, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- make scale: "+part+" -->\n", "<!-- make scale: end of "+part+" -->"
	before, rest, ok := strings.Cut(string(all), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the figures: put %s and %s there", name, begin, end)
	}
	stamp := fmt.Sprintf("%s, %d cores, %s, %s/%s.\n\n", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if err := os.WriteFile(name, []byte(before+begin+stamp+text+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
