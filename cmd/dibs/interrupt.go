package main

import (
	"context"
	"io"
)

// interruptible is a reader that gives up when its context ends, even while the
// one underneath waits for input that never comes. That one's last read goes on
// in the background, into a buffer nobody else has. After an error it is not to
// be read again.
type interruptible struct {
	ctx  context.Context
	src  io.Reader
	buf  []byte
	rest []byte
	err  error // comes behind rest
}

func newInterruptible(ctx context.Context, src io.Reader) *interruptible {
	return &interruptible{ctx: ctx, src: src, buf: make([]byte, 64<<10)}
}

func (r *interruptible) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && r.err == nil {
		r.fill()
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *interruptible) fill() {
	read := make(chan struct{})
	var n int
	var err error
	go func() {
		defer close(read)
		n, err = r.src.Read(r.buf)
	}()
	select {
	case <-read:
		r.rest, r.err = r.buf[:n], err
	case <-r.ctx.Done():
	}
	if err := r.ctx.Err(); err != nil { // also when both were ready
		r.rest, r.err = nil, err
	}
}
