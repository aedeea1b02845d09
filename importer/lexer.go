package importer

import (
	"bytes"
	"strings"
)

// lexer finds the end of a record. It is fed the same record again as more of
// it arrives and goes on where it stopped.
//
// It is strict about quotation marks, on purpose: inside a quoted cell a mark
// must be doubled, and behind the closing one a separator or the end of the
// line must follow. Reading such cells leniently means that a mark which
// somebody forgot to close swallows the lines behind it; strictly, the next
// mark shows the error. A mark inside an unquoted cell (a 5" screen) means
// nothing.
type lexer struct {
	separators string // the characters that end a cell
	state      lexState
	at         int // bytes of the record looked at
}

type lexState uint8

const (
	cellStart lexState = iota
	inPlain
	inQuoted
	behindQuote // a quotation mark in a quoted cell: the end, or half of a doubled one
)

type lexStatus uint8

const (
	lexMore     lexStatus = iota // the record goes on behind the text
	lexEnd                       // the record is complete
	lexBadQuote                  // text stands behind a closing quotation mark
	lexUnclosed                  // the text ended inside a quoted cell
)

// scan looks at text, the record so far. With lexEnd, text[:end] is the record
// and text[next:] what follows its line break. atEOF says that nothing follows
// text.
func (l *lexer) scan(text []byte, atEOF bool) (status lexStatus, end, next int) {
	for l.at < len(text) {
		c := text[l.at]
		switch {
		case l.state == inQuoted:
			l.skipQuoted(text)
			continue
		case c == '"' && l.state != inPlain:
			l.state = inQuoted // a cell begins, or the mark was doubled
		case c == '\n':
			return lexEnd, l.at, l.at + 1
		case c == '\r':
			if l.at+1 == len(text) && !atEOF {
				return lexMore, 0, 0 // a line feed may follow
			}
			return lexEnd, l.at, l.at + lineBreak(text[l.at:])
		case strings.IndexByte(l.separators, c) >= 0:
			l.state = cellStart
		case l.state == behindQuote:
			return lexBadQuote, 0, 0
		default:
			l.state = inPlain
		}
		l.at++
	}
	switch {
	case !atEOF:
		return lexMore, 0, 0
	case l.state == inQuoted:
		return lexUnclosed, 0, 0
	}
	return lexEnd, len(text), len(text)
}

// skipQuoted moves behind the next quotation mark, or to the end of text.
func (l *lexer) skipQuoted(text []byte) {
	i := bytes.IndexByte(text[l.at:], '"')
	if i < 0 {
		l.at = len(text)
		return
	}
	l.at += i + 1
	l.state = behindQuote
}

// lineBreak returns the length of the line break that text begins with: 1 for
// LF or CR, 2 for CRLF, else 0.
func lineBreak(text []byte) int {
	switch {
	case len(text) > 1 && text[0] == '\r' && text[1] == '\n':
		return 2
	case len(text) > 0 && (text[0] == '\r' || text[0] == '\n'):
		return 1
	}
	return 0
}

// firstLine returns the length of the first physical line of text with its line
// break; ok is false if no line break is in sight, or one that may go on.
func firstLine(text []byte, atEOF bool) (n int, ok bool) {
	i := bytes.IndexAny(text, "\r\n")
	if i < 0 || (text[i] == '\r' && i+1 == len(text) && !atEOF) {
		return 0, false
	}
	return i + lineBreak(text[i:]), true
}

// countLines counts the line breaks in text.
func countLines(text []byte) int {
	return bytes.Count(text, []byte{'\n'}) + bytes.Count(text, []byte{'\r'}) - bytes.Count(text, []byte("\r\n"))
}
