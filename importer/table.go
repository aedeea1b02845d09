package importer

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
)

// separatorsKnown are the characters that may part the cells of a file.
const separatorsKnown = ",;\t|"

const maxColumns = 1000

// table reads a header and the rows below it.
type table struct {
	records *records
	decoder decoder
	feed    feed
	csv     *csv.Reader
	comma   byte
	header  []string
}

// row is one record: as many cells as the header has columns, trimmed of
// nothing.
type row struct {
	line  int
	cells []string // valid until the next row
}

// newTable reads the header. known counts the columns of a header that mean
// something: of the possible separators that one is taken with which most do.
func newTable(src io.Reader, known func(header []string) int) (*table, error) {
	r, isUTF8 := toBytes(src)
	t := &table{records: newRecords(r, MaxRecord), decoder: decoder{utf8: isUTF8}}
	text, err := t.headerText()
	if err != nil {
		return nil, err
	}
	t.pickSeparator(text, known)
	t.header, err = t.split(text)
	if err != nil {
		return nil, &HeaderError{"the first line cannot be read as CSV"}
	}
	t.header = bytesFree(t.header)
	if len(t.header) > maxColumns {
		return nil, &HeaderError{fmt.Sprintf("the first line has %d columns; at most %d are read", len(t.header), maxColumns)}
	}
	return t, nil
}

// headerText returns the first line that is not empty. A line "sep=;", which
// Excel understands, is obeyed and skipped.
func (t *table) headerText() ([]byte, error) {
	for {
		_, raw, err := t.records.next()
		if errors.Is(err, io.EOF) {
			return nil, &HeaderError{"the file is empty"}
		}
		var bad *BadLine
		if errors.As(err, &bad) {
			return nil, &HeaderError{"the first line must name the columns, but " + bad.Reason}
		}
		if err != nil {
			return nil, err
		}
		text, reason := t.decoder.decode(raw)
		if reason != "" {
			return nil, &HeaderError{"the first line must name the columns, but " + reason}
		}
		if s, ok := bytes.CutPrefix(text, []byte("sep=")); ok && len(s) == 1 && strings.Contains(separatorsKnown, string(s)) {
			t.use(s[0])
			continue
		}
		return text, nil
	}
}

// pickSeparator chooses what parts the cells, unless the file has said it.
func (t *table) pickSeparator(header []byte, known func([]string) int) {
	if t.comma != 0 {
		return
	}
	best, most := byte(','), 0
	for _, c := range []byte(separatorsKnown) {
		t.use(c)
		cells, err := t.split(header)
		if err != nil || len(cells) < 2 {
			continue
		}
		if n := known(cells)*maxColumns + len(cells); n > most {
			best, most = c, n
		}
	}
	t.use(best)
}

func (t *table) use(comma byte) {
	t.comma = comma
	t.records.separators = string(comma)
	t.resetCSV()
}

func (t *table) resetCSV() {
	t.feed.rest = nil
	t.csv = csv.NewReader(&t.feed)
	t.csv.Comma = rune(t.comma)
	t.csv.FieldsPerRecord = -1
	t.csv.ReuseRecord = true
	t.csv.LazyQuotes = true // for marks in unquoted cells; the lexer was strict about the others
}

// split makes cells of the text of one record.
func (t *table) split(text []byte) ([]string, error) {
	t.feed.buf = append(append(t.feed.buf[:0], text...), '\n')
	t.feed.rest = t.feed.buf
	before := t.csv.InputOffset()
	cells, err := t.csv.Read()
	if read := t.csv.InputOffset() - before; err != nil || read != int64(len(t.feed.buf)) {
		t.resetCSV()
		return nil, errors.Join(errors.New("not one record"), err)
	}
	return cells, nil
}

// next returns the next row that is not empty. Errors are those of records.
func (t *table) next() (row, error) {
	for {
		line, raw, err := t.records.next()
		if err != nil {
			return row{}, err
		}
		text, reason := t.decoder.decode(raw)
		if reason != "" {
			return row{}, &BadLine{line, reason}
		}
		cells, err := t.split(text)
		if err != nil {
			return row{}, &BadLine{line, "it cannot be read as CSV"}
		}
		if allBlank(cells) {
			continue
		}
		if len(cells) > len(t.header) && !allBlank(cells[len(t.header):]) {
			return row{}, badLine(line, "it has %d cells, but there are %d columns (a cell that contains the separator must be quoted)", len(cells), len(t.header))
		}
		for len(cells) < len(t.header) {
			cells = append(cells, "")
		}
		return row{line, cells[:len(t.header)]}, nil
	}
}

func allBlank(cells []string) bool {
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}

// bytesFree copies cells that are reused by the CSV reader, tidied.
func bytesFree(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = strings.Join(strings.Fields(c), " ")
	}
	return out
}

// feed gives the CSV reader one record at a time and the end of the file behind
// each, so that the reader never looks into the next one and its state, which
// is worth keeping, can be used for all.
type feed struct {
	buf  []byte
	rest []byte
}

func (f *feed) Read(p []byte) (int, error) {
	if len(f.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}
