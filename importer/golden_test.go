package importer

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestClientFiles reads a small export of each program as that program writes
// it, and holds what is read to the transcript beside it.
func TestClientFiles(t *testing.T) {
	regions := map[string]string{"salesforce-report.csv": "GB", "excel-german-latin1.csv": "DE"}
	golden(t, "testdata/clients", func(name string, f io.Reader) string {
		region := regions[name]
		if region == "" {
			region = "US"
		}
		clients, err := NewClients(f, region)
		if err != nil {
			return err.Error() + "\n"
		}
		return transcript(func() (string, error) {
			row, err := clients.Next()
			c := row.Client
			text := fmt.Sprintf("line %d: %q %s", row.Line, c.Name, c.Phone)
			if !c.ID.IsZero() {
				text += " id=" + c.ID.String()
			}
			if c.Email != "" {
				text += " <" + c.Email + ">"
			}
			if c.Notes != "" {
				text += fmt.Sprintf(" notes=%q", c.Notes)
			}
			return text + " " + string(c.Attributes), err
		})
	})
}

func TestUserFiles(t *testing.T) {
	golden(t, "testdata/users", func(_ string, f io.Reader) string {
		users, err := NewUsers(f)
		if err != nil {
			return err.Error() + "\n"
		}
		return fmt.Sprintf("ignored: %q\n", users.Ignored()) + transcript(func() (string, error) {
			row, err := users.Next()
			return fmt.Sprintf("line %d: %s first=%q last=%q role=%s password=%q", row.Line,
				row.User.Email, row.User.FirstName, row.User.LastName, row.User.Role, row.Password), err
		})
	})
}

func transcript(next func() (string, error)) string {
	var b strings.Builder
	for {
		text, err := next()
		var bad *BadLine
		var dup *Duplicate
		switch {
		case errors.Is(err, io.EOF):
			return b.String()
		case errors.As(err, &bad):
			text = "BAD " + err.Error()
		case errors.As(err, &dup):
			text = "DUPLICATE " + err.Error()
		case err != nil:
			return b.String() + err.Error() + "\n"
		}
		b.WriteString(text + "\n")
	}
}

func golden(t *testing.T, dir string, read func(name string, f io.Reader) string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, ".golden") {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			got := read(filepath.Base(path), f)
			if *update {
				if err := os.WriteFile(path+".golden", []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path + ".golden")
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("read:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
