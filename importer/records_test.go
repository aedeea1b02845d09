package importer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// read returns what records makes of src: "line:text", "line!reason".
func read(src io.Reader, max int) ([]string, error) {
	r := newRecords(src, max)
	var got []string
	for {
		line, text, err := r.next()
		var bad *BadLine
		switch {
		case errors.Is(err, io.EOF):
			return got, nil
		case errors.As(err, &bad):
			got = append(got, fmt.Sprintf("%d!%s", bad.Line, bad.Reason))
		case err != nil:
			return got, err
		default:
			got = append(got, fmt.Sprintf("%d:%s", line, text))
		}
		if cap(r.buf) > 4*(max+chunk) {
			return got, fmt.Errorf("the window grew to %d bytes", cap(r.buf))
		}
	}
}

func TestRecords(t *testing.T) {
	const unclosed, inside = "!a quotation mark is opened and never closed",
		"!a quotation mark stands inside a quoted cell (it must be doubled), or one further up was not closed"
	tests := map[string]struct {
		text string
		want []string
	}{
		"nothing":                 {"", nil},
		"empty lines only":        {"\n\r\n\r\r\n", nil},
		"line feeds":              {"a\nb\n", []string{"1:a", "2:b"}},
		"no break at the end":     {"a\nb", []string{"1:a", "2:b"}},
		"CRLF":                    {"a\r\nb\r\n", []string{"1:a", "2:b"}},
		"CR":                      {"a\rb\r", []string{"1:a", "2:b"}},
		"empty lines count":       {"a\n\n\r\nb", []string{"1:a", "4:b"}},
		"quoted break":            {"a,\"x\ny\r\nz\"\nb", []string{"1:a,\"x\ny\r\nz\"", "4:b"}},
		"doubled mark":            {"\"a\"\"b\"\nc", []string{`1:"a""b"`, "2:c"}},
		"only doubled marks":      {"\"\"\"\"\nc", []string{`1:""""`, "2:c"}},
		"mark in a plain cell":    {"5\" screen,x\nb", []string{`1:5" screen,x`, "2:b"}},
		"quoted end of file":      {`a,"b"`, []string{`1:a,"b"`}},
		"mark not doubled":        {"a,\"say \"hi\" x\"\nb", []string{"1" + inside, "2:b"}},
		"unclosed to the end":     {"a,\"b\nc\nd\n", []string{"1" + unclosed, "2:c", "3:d"}},
		"unclosed, found later":   {"\"b\nc\n\"d\"\ne", []string{"1" + inside, "2:c", `3:"d"`, "4:e"}},
		"only a mark":             {`"`, []string{"1" + unclosed}},
		"longer than the limit":   {strings.Repeat("x", 100) + "\nb", []string{"1!it is longer than 64 bytes", "2:b"}},
		"as long as the limit":    {strings.Repeat("x", 64) + "\nb", []string{"1:" + strings.Repeat("x", 64), "2:b"}},
		"long and never a break":  {strings.Repeat("x", 100), []string{"1!it is longer than 64 bytes"}},
		"long, then CRLF":         {strings.Repeat("x", 100) + "\r\nb", []string{"1!it is longer than 64 bytes", "2:b"}},
		"separators of any sort":  {"a;\"b\n\";c\td", []string{"1:a;\"b\n\";c\td"}},
		"separator behind a mark": {"\"a\"|b", []string{`1:"a"|b`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for how, src := range map[string]io.Reader{
				"at once":     strings.NewReader(tt.text),
				"by the byte": iotest.OneByteReader(strings.NewReader(tt.text)),
				"data + EOF":  iotest.DataErrReader(strings.NewReader(tt.text)),
			} {
				got, err := read(src, 64)
				if err != nil || !slices.Equal(got, tt.want) {
					t.Errorf("%s: got %q, %v; want %q", how, got, err, tt.want)
				}
			}
		})
	}
}

func TestRecordsPassOnErrors(t *testing.T) {
	broken := errors.New("cable cut")
	got, err := read(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), 64)
	if !errors.Is(err, broken) || !slices.Equal(got, []string{"1:a"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := read(stuck{}, 64); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// TestRecordsAreBounded reads a gigabyte-like stream that is one cell, and
// goes on behind it.
func TestRecordsAreBounded(t *testing.T) {
	for _, begin := range []string{"", `"`} {
		src := io.MultiReader(strings.NewReader(begin), io.LimitReader(repeat("xyz"), 64<<20), strings.NewReader("\nnext"))
		got, err := read(src, MaxRecord)
		if err != nil || len(got) != 2 || got[1] != "2:next" {
			t.Errorf("begins with %q: got %.200q, %v", begin, got, err)
		}
	}
}

// repeat gives a text over and over.
type repeat string

func (r repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], r)
	}
	return n, nil
}

// TestLongQuotation goes back when a quotation is longer than a record may be.
func TestLongQuotation(t *testing.T) {
	got, err := read(strings.NewReader("\"a\n"+strings.Repeat("b\n", chunk)+"c"), 64)
	if err != nil || len(got) != chunk+2 || !strings.Contains(got[0], "1!a quotation mark is opened and not closed within 64 bytes") ||
		got[1] != "2:b" || got[chunk+1] != fmt.Sprintf("%d:c", chunk+2) {
		t.Errorf("%d records, %v", len(got), err)
	}
}

// TestGoingBackIsLinear holds the splitter to the promise that broken
// quotations do not make it read the same text again and again.
func TestGoingBackIsLinear(t *testing.T) {
	var text bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintf(&text, "\"never closed %d\nplain\n", i)
	}
	got, err := read(&text, MaxRecord)
	if err != nil || len(got) != 40_000 {
		t.Fatalf("%d records, %v", len(got), err)
	}
}
