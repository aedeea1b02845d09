package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dibs-calls/dibs/importer"
)

// batches feeds the rows of a file to the store, some hundred in a transaction:
// few enough that a running server's writes are not held up, many enough that
// the disk is not the limit.
type batches[T any] struct {
	size   int
	next   func() (T, error)
	line   func(T) int
	save   func(ctx context.Context, rows []T) error // counts into report
	report *report
}

// saveTimeout bounds one batch. It is the store that should give up first.
const saveTimeout = 30 * time.Second

// run reads to the end. When ctx ends it stops between two batches: one that is
// being written is written to its end, so that what is said of it is true.
func (b *batches[T]) run(ctx context.Context) error {
	rows := make([]T, 0, b.size)
	for {
		row, err := b.next()
		if ctx.Err() != nil {
			return b.stopped(ctx.Err())
		}
		var bad *importer.BadLine
		var dup *importer.Duplicate
		switch {
		case errors.Is(err, io.EOF):
			return b.flush(ctx, rows)
		case errors.As(err, &bad):
			b.report.rows++
			b.report.badLine(bad)
			continue
		case errors.As(err, &dup):
			b.report.rows++
			b.report.duplicate(dup)
			continue
		case err != nil:
			return errors.Join(b.flush(ctx, rows), b.stopped(err))
		}
		b.report.rows++
		rows = append(rows, row)
		if len(rows) < b.size {
			continue
		}
		if err := b.flush(ctx, rows); err != nil {
			return err
		}
		clear(rows) // the rows hold on to their text
		rows = rows[:0]
	}
}

func (b *batches[T]) flush(ctx context.Context, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := b.save(ctx, rows); err != nil {
		return b.stopped(err)
	}
	b.report.done = b.line(rows[len(rows)-1])
	b.report.progress()
	return nil
}

// stopped says how far an import came that did not come to its end.
func (b *batches[T]) stopped(err error) error {
	how := "before anything was added"
	if b.report.done > 0 {
		how = fmt.Sprintf("behind line %d: what stands up to there is in the store (%s); run it again to add the rest", b.report.done, b.report.changes())
	}
	if errors.Is(err, context.Canceled) {
		return &exitError{exitInterrupted, fmt.Errorf("interrupted %s", how)}
	}
	return fmt.Errorf("stopped %s: %w", how, err)
}

// importFile carries out an import of one file: start makes its batches once
// the header was read.
func importFile[T any](ctx context.Context, c *cli, name string, dryRun bool, start func(src io.Reader, r *report) (*batches[T], error)) error {
	file, size, err := c.source(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	r := newReport(c.stderr, size, dryRun)
	b, err := start(io.TeeReader(newInterruptible(ctx, file), r), r)
	if err != nil {
		r.finish()
		return fmt.Errorf("%s: %w", name, err)
	}
	err = b.run(ctx)
	r.finish()
	if err = errors.Join(r.summary(c.stdout), err); err != nil {
		return err
	}
	if r.bad > 0 {
		what := fmt.Sprintf("%d bad lines are", r.bad)
		if r.bad == 1 {
			what = "1 bad line is"
		}
		return &exitError{code: exitPartly, err: fmt.Errorf("%s named above", what)}
	}
	return nil
}
