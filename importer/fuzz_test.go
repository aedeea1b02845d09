package importer

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/phone"
)

// FuzzClients feeds the reader anything. Whatever it is, reading ends, lines
// are numbered upwards, and what is taken can be stored: UTF-8 without NUL,
// a JSON object, a number in E.164 or (in dibs' own export) as it was.
func FuzzClients(f *testing.F) {
	seed(f, "testdata/clients")
	f.Fuzz(func(t *testing.T, file []byte) {
		clients, err := NewClients(strings.NewReader(string(file)), "US")
		if err != nil {
			return
		}
		last := 0
		drain(t, len(file), func() (int, error) {
			row, err := clients.Next()
			if err == nil {
				checkClient(t, row.Client, clients.own)
			}
			return row.Line, err
		}, &last)
	})
}

func checkClient(t *testing.T, c messages.Client, own bool) {
	t.Helper()
	for _, s := range []string{c.Name, c.Phone, c.Email, c.Notes, string(c.Attributes)} {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			t.Errorf("%q cannot be stored", s)
		}
	}
	var object map[string]any
	if err := json.Unmarshal(c.Attributes, &object); err != nil || object == nil {
		t.Errorf("attributes %q: %v", c.Attributes, err)
	}
	if again, err := phone.E164(c.Phone, "US"); !own && (err != nil || again != c.Phone || c.Name == "") {
		t.Errorf("name %q, number %q, understood again as %q, %v", c.Name, c.Phone, again, err)
	}
}

func FuzzUsers(f *testing.F) {
	seed(f, "testdata/users")
	f.Fuzz(func(t *testing.T, file []byte) {
		users, err := NewUsers(strings.NewReader(string(file)))
		if err != nil {
			return
		}
		last := 0
		drain(t, len(file), func() (int, error) {
			row, err := users.Next()
			if err == nil && !strings.Contains(row.User.Email, "@") {
				t.Errorf("%q is no address", row.User.Email)
			}
			return row.Line, err
		}, &last)
	})
}

// drain reads to the end and checks that there is one.
func drain(t *testing.T, size int, next func() (int, error), last *int) {
	t.Helper()
	for range size + 1 {
		line, err := next()
		var bad *BadLine
		var dup *Duplicate
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &bad):
			line = bad.Line
		case errors.As(err, &dup):
			line = dup.Line
		case err != nil:
			t.Fatalf("a file in memory cannot fail: %v", err)
		}
		if line <= *last {
			t.Fatalf("line %d came behind line %d", line, *last)
		}
		*last = line
	}
	t.Fatal("more rows than bytes")
}

func seed(f *testing.F, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.[ct][sx][vt]"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds in %s: %v", dir, err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, s := range []string{"", "\"", "phone\n\"\"\"\n", "email\r\rx@y\r", "\xff\xfe\x00", "\xef\xbb\xbfphone\n'", "sep=|\nphone|\n||\n"} {
		f.Add([]byte(s))
	}
}
