package importer

import "fmt"

// BadLine is a record that was not taken. Reading goes on behind it.
type BadLine struct {
	Line   int    // the physical line on which the record begins, from 1
	Reason string // for a person; follows "line N: "
}

func (e *BadLine) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Duplicate is a record that stands for somebody who came earlier in the same
// file. Reading goes on behind it.
type Duplicate struct {
	Line  int    // the physical line on which the record begins, from 1
	First int    // the line of the record that was taken
	Of    string // the number or e-mail address that both have
}

func (e *Duplicate) Error() string {
	return fmt.Sprintf("line %d: %s is on line %d already", e.Line, e.Of, e.First)
}

// HeaderError says why nothing in a file can be read: its first line does not
// name the columns.
type HeaderError struct {
	Reason string
}

func (e *HeaderError) Error() string { return e.Reason }

func badLine(line int, format string, args ...any) *BadLine {
	return &BadLine{Line: line, Reason: fmt.Sprintf(format, args...)}
}

// clip shortens what is quoted in a reason: a cell can be a megabyte long.
func clip(s string) string {
	const most = 40
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
