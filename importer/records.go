package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxRecord is how many bytes a record may have. A longer one is a [BadLine].
const MaxRecord = 1 << 20

const chunk = 64 << 10

// records cuts a stream of bytes into records. It holds a window of the stream
// that begins with the current record, so that it can go back to the second
// line of a record that turns out to be broken.
//
// Going back costs nothing to speak of: a record breaks at a mark that ends a
// quoted cell where none may end, so the lines before that mark hold no such
// mark and are not gone over a third time.
type records struct {
	src        io.Reader
	max        int
	separators string
	buf        []byte
	pos        int // where in buf the next record begins
	line       int // the physical line at pos, from 1
	err        error
}

func newRecords(src io.Reader, max int) *records {
	return &records{src: src, max: max, line: 1, separators: separatorsKnown}
}

// next returns the next record that is not an empty line, without its line
// break, and the line on which it begins. The text is valid until the next
// call. A broken record is a *BadLine; any other error ends the stream, io.EOF
// at its end.
func (r *records) next() (line int, text []byte, err error) {
	for {
		line, text, err = r.record()
		if err != nil || len(text) > 0 {
			return line, text, err
		}
	}
}

func (r *records) record() (int, []byte, error) {
	lex := lexer{separators: r.separators}
	for {
		if r.pos == len(r.buf) && r.err != nil {
			return 0, nil, r.err
		}
		text := r.buf[r.pos:]
		status, end, next := lex.scan(text, errors.Is(r.err, io.EOF))
		switch {
		case status == lexEnd && end <= r.max:
			line := r.line
			r.advance(next)
			return line, text[:end], nil
		case status == lexBadQuote:
			return 0, nil, r.skipLine("a quotation mark stands inside a quoted cell (it must be doubled), or one further up was not closed")
		case status == lexUnclosed:
			return 0, nil, r.skipLine("a quotation mark is opened and never closed")
		case status == lexEnd || len(text) > r.max:
			return 0, nil, r.skipLine(r.tooLong(lex.state))
		case r.err != nil:
			return 0, nil, r.err // the stream broke inside a record
		}
		r.fill()
	}
}

func (r *records) tooLong(state lexState) string {
	if state == inQuoted {
		return fmt.Sprintf("a quotation mark is opened and not closed within %d bytes", r.max)
	}
	return fmt.Sprintf("it is longer than %d bytes", r.max)
}

// skipLine moves to the line behind the one on which the record begins, and
// returns the record as a bad line.
func (r *records) skipLine(reason string) *BadLine {
	bad := &BadLine{Line: r.line, Reason: reason}
	for {
		n, ok := firstLine(r.buf[r.pos:], r.err != nil)
		if ok {
			r.advance(n)
			return bad
		}
		if r.err != nil {
			r.pos = len(r.buf)
			return bad
		}
		// What has no line break is thrown away; a carriage return at the very
		// end may be half of one.
		if !bytes.HasSuffix(r.buf, []byte{'\r'}) {
			r.pos = len(r.buf)
		} else {
			r.pos = len(r.buf) - 1
		}
		r.fill()
	}
}

// advance moves the window n bytes on.
func (r *records) advance(n int) {
	r.line += countLines(r.buf[r.pos : r.pos+n])
	r.pos += n
}

// fill drops what lies before pos and reads once more. It sets err at the end.
func (r *records) fill() {
	r.buf = r.buf[:copy(r.buf, r.buf[r.pos:])]
	r.pos = 0
	if cap(r.buf)-len(r.buf) < chunk/2 {
		r.buf = append(make([]byte, 0, 2*cap(r.buf)+chunk), r.buf...)
	}
	for range 100 {
		n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		r.err = err
		if n > 0 || err != nil {
			return
		}
	}
	r.err = io.ErrNoProgress
}
