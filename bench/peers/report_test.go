package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocument: what is written by hand stays, what was generated is replaced.
func TestDocument(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "benchmarks.md")
	if err := os.WriteFile(name, []byte("before\n"+markBegin+"\nold\n"+markEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &results{Machine: "here", Rounds: 3, Counted: "1s", Once: map[string]once{"dibs": {Flushes: 2, StartAllocs: 50, EndAllocs: 40}}}
	for round, rate := range []float64{300, 100, 200} {
		r.add("calls", 64, "dibs", round, figures{PerSecond: rate, P99: 900})
		r.add("calls", 64, "redis", round, figures{PerSecond: rate / 2, P99: 12_000})
	}
	for range 2 { // again: nothing piles up
		if err := r.document(dir); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"before\n" + markBegin, markEnd + "\nafter\n", "| 64 | dibs on Postgres | 200 | 100–300 | 1.00 |", "| 64 | Redis | 100 | 50–150 | 2.00 |",
		"| 12 ms |", "| dibs on Postgres | 2.0 | 50 | 40 |", "](benchmarks/calls.svg)",
	} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Errorf("old figures are left:\n%s", text)
	}
	picture, err := os.Open(filepath.Join(dir, "benchmarks", "calls.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer picture.Close()
	for d := xml.NewDecoder(picture); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
