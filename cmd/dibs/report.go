package main

import (
	"fmt"
	"io"
	"os"

	"github.com/dibs-calls/dibs/importer"
	"github.com/schollz/progressbar/v3"
)

// report counts what becomes of the rows of an import, names the bad ones as
// they come, and shows how far it is, to a person only.
type report struct {
	stderr io.Writer
	bar    *progressbar.ProgressBar // nil: nobody is looking
	dryRun bool

	updates bool // clients in the store are changed; else updated is not spoken of

	rows    int // that hold something, good or bad
	added   int
	updated int
	twice   int // in the file already
	known   int // in the store already, and left as they are
	bad     int
	done    int // the line up to which everything is in the store or was named
}

// newReport measures progress by the bytes of a file, or, where its size is not
// known, shows only that it goes on.
func newReport(stderr io.Writer, size int64, dryRun bool) *report {
	r := &report{stderr: stderr, dryRun: dryRun}
	if !isTerminal(stderr) {
		return r
	}
	if size <= 0 {
		size = -1
	}
	r.bar = progressbar.NewOptions64(size, progressbar.OptionSetWriter(stderr), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("importing"), progressbar.OptionThrottle(100_000_000),
		progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	return r
}

// Write makes a report what a copy of the input is written to.
func (r *report) Write(p []byte) (int, error) {
	if r.bar != nil {
		_ = r.bar.Add(len(p)) // what cannot be shown is no reason to stop
	}
	return len(p), nil
}

func (r *report) badLine(bad *importer.BadLine) {
	r.bad++
	r.say(bad)
}

func (r *report) duplicate(dup *importer.Duplicate) {
	r.twice++
	r.say(dup)
}

func (r *report) say(what error) {
	if r.bar != nil {
		_ = r.bar.Clear()
	}
	_, _ = fmt.Fprintln(r.stderr, what)
}

// progress shows how many rows are in the store.
func (r *report) progress() {
	if r.bar != nil {
		r.bar.Describe(r.changes())
	}
}

// changes says what was done so far.
func (r *report) changes() string {
	text := fmt.Sprintf("%d added", r.added)
	if r.updates {
		text += fmt.Sprintf(", %d updated", r.updated)
	}
	return text
}

func (r *report) finish() {
	if r.bar != nil {
		_ = r.bar.Finish()
	}
}

// summary is the last line of an import.
func (r *report) summary(stdout io.Writer) error {
	changes, known := r.changes(), "in the store already"
	if r.updates {
		known += " and the same"
	}
	if r.dryRun {
		changes = fmt.Sprintf("%d would be added", r.added)
		if r.updates {
			changes += fmt.Sprintf(", %d would be updated", r.updated)
		}
		changes += " (dry run: nothing was changed)"
	}
	_, err := fmt.Fprintf(stdout, "%d rows: %s, %d %s, %d twice in the file, %d bad\n",
		r.rows, changes, r.known, known, r.twice, r.bad)
	return err
}

// source opens the file of an import; "-" is standard input. size is 0 where it
// is not known.
func (c *cli) source(name string) (r io.ReadCloser, size int64, err error) {
	if name == "-" {
		return io.NopCloser(c.stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", name)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	if info.Mode().IsRegular() {
		size = info.Size()
	}
	return f, size, nil
}
