package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// leads is a file of n lines with every bad-th broken, in ways that happen.
func leads(n, bad int) (text string, broken []int) {
	ways := [...]string{
		"Bad %d,not a number,,\n",
		"Bad %d,12345,,\n",
		"Bad %d,,,\n",
		"\"Bad %d,+1202555%[1]d,,\n",
		"Bad %d,+12025550100,,,,shifted\n",
		"Bad %d,2.02556E+09,,\n",
		"Bad %d,\"say \"hi\" now\",,\n",
		"Bad\x00 %d,+12025550101,,\n",
	}
	var b strings.Builder
	b.WriteString("Full Name,Phone Number,Email,Notes\n")
	for i := range n {
		if i%bad == bad/2 {
			fmt.Fprintf(&b, ways[len(broken)%len(ways)], i)
			broken = append(broken, i+2)
			continue
		}
		fmt.Fprintf(&b, "Client %d,(202) %03d-%04d,c%d@example.org,imported\n", i, 200+i/10_000, i%10_000, i)
	}
	return b.String(), broken
}

func TestClientsImport(t *testing.T) {
	stores(t, func(t *testing.T, sh *shell) {
		text, _ := leads(1500, 500)
		file := sh.file(text)
		r := sh.want(exitPartly, "clients", "import", file, "--dry-run")
		has(t, r.stdout, "1500 rows: 1497 would be added")
		has(t, sh.want(exitPartly, "clients", "import", file).stdout, "1500 rows: 1497 added")
		has(t, sh.want(exitPartly, "clients", "import", file).stdout, " 0 added, 1497 in the store already")
		has(t, sh.want(exitPartly, "clients", "import", file, "--dry-run").stdout, " 0 would be added")
		sh.stdin = strings.NewReader("Name;Phone\nZoë;020 7946 0123\nAgain;+442079460123\n")
		r = sh.want(exitOK, "clients", "import", "-", "--region", "GB")
		has(t, r.stdout, "2 rows: 1 added, 0 in the store already, 1 twice in the file")
		has(t, r.stderr, "line 3: +442079460123 is on line 2 already")
		has(t, sh.want(exitFailed, "clients", "import", sh.file("a,b\n1,2\n")).stderr, "no column holds a phone number")
	})
}

// TestExportAndImport moves all clients to another store, exactly.
func TestExportAndImport(t *testing.T) {
	stores(t, func(t *testing.T, sh *shell) {
		sh.want(exitOK, "clients", "import", sh.file("Name,Phone,Notes,Lead Status\n\"=2+5, \"\"quoted\"\"\",2025550101,\"two\nlines\",Open\nZoë,2025550102,,\n"))
		out := filepath.Join(t.TempDir(), "out.csv")
		sh.want(exitOK, "clients", "export", "--out", out)
		first := sh.want(exitOK, "clients", "export").stdout
		if text, err := os.ReadFile(out); err != nil || string(text) != first {
			t.Errorf("file and standard output differ: %q, %v", text, err)
		}
		has(t, sh.want(exitOK, "clients", "import", out).stdout, " 0 added, 2 in the store already")
		other := newShell(t)
		has(t, other.want(exitOK, "clients", "import", out).stdout, "2 added")
		second := other.want(exitOK, "clients", "export").stdout
		if a, b := untimed(first), untimed(second); a != b || !strings.Contains(a, ",TIME,TIME") {
			t.Errorf("exported %s, then %s", a, b)
		}
		has(t, sh.want(exitOK, "clients", "export", "--excel-safe").stdout, "\ufeffid", "'=2+5", "'+12025550101")
	})
}

// untimed takes out of an export what a store makes anew, and the space in its
// JSON, which each keeps in its own way.
func untimed(export string) string {
	export = regexp.MustCompile(`[0-9T:.-]{19,}Z`).ReplaceAllString(export, "TIME")
	return strings.ReplaceAll(export, `: `, `:`)
}

// faulty fails a store's AddClients from the time on when fail says so.
type faulty struct {
	persistence.Store
	fail func(clients []messages.Client) error
}

func (f *faulty) AddClients(ctx context.Context, clients []messages.Client, audit ...messages.Audit) error {
	if err := f.fail(clients); err != nil {
		return err
	}
	return f.Store.AddClients(ctx, clients, audit...)
}

func (sh *shell) breakStore(fail func(clients []messages.Client) error) {
	sh.open = func(ctx context.Context, cfg storeConfig) (persistence.Store, error) {
		store, err := openStore(ctx, cfg)
		return &faulty{store, fail}, err
	}
}

// TestImportWithoutStore: the store goes away in the middle. The import says
// how far it came, and again it adds the rest.
func TestImportWithoutStore(t *testing.T) {
	sh := newShell(t)
	text, _ := leads(1200, 100_000)
	file, batches := sh.file(text), 0
	sh.breakStore(func([]messages.Client) error {
		if batches++; batches == 2 {
			return &messages.Error{Code: messages.CodeUnavailable, Cause: errors.New("cable cut")}
		}
		return nil
	})
	r := sh.want(exitUnavailable, "clients", "import", file)
	has(t, r.stderr, "behind line 501", "500 added", "cable cut", "run it again")
	sh.open = openStore
	has(t, sh.want(exitOK, "clients", "import", file).stdout, "700 added, 500 in the store already")
}

// TestImportOfWhatTheStoreRefuses: one row is more than the store takes; it is
// named, the others of its batch are added.
func TestImportOfWhatTheStoreRefuses(t *testing.T) {
	sh := newShell(t)
	sh.breakStore(func(clients []messages.Client) error {
		for _, c := range clients {
			if c.Name == "Client 7" {
				return &messages.Error{Code: messages.CodeInternal, Cause: errors.New("too much")}
			}
		}
		return nil
	})
	text, _ := leads(20, 100_000)
	r := sh.want(exitPartly, "clients", "import", sh.file(text))
	has(t, r.stdout, "20 rows: 19 added", "1 bad")
	has(t, r.stderr, "line 9: the store refuses it")
}

// TestInterruptedImport stops in the middle of a file, and while waiting for
// input that does not come.
func TestInterruptedImport(t *testing.T) {
	sh := newShell(t)
	text, _ := leads(1200, 100_000)
	ctx, cancel := context.WithCancel(t.Context())
	sh.breakStore(func([]messages.Client) error { cancel(); return nil })
	r := sh.runCtx(ctx, "clients", "import", sh.file(text))
	if r.code != exitInterrupted {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	has(t, r.stderr, "interrupted behind line 501", "500 added")
	has(t, r.stdout, "500 added")

	in, writer := io.Pipe()
	defer func() { _ = writer.Close() }() // lets the reader left behind end
	sh.stdin, sh.open = in, openStore
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		_, _ = writer.Write([]byte("name,phone\nx,+12025550101\n"))
		cancel()
	}()
	if r := sh.runCtx(ctx, "clients", "import", "-"); r.code != exitInterrupted {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

func TestWriteFileIsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "out.csv")
	if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := writeFile(name, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	text, err := os.ReadFile(name)
	if err != nil || string(text) != "old" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if err := writeFile("/dev/null", func(w io.Writer) error { return nil }); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode().IsRegular() {
		t.Errorf("/dev/null is %v, %v", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".dibs-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestInterruptibleReadsAll(t *testing.T) {
	text := strings.Repeat("0123456789", 20_000)
	got, err := io.ReadAll(newInterruptible(t.Context(), strings.NewReader(text)))
	if err != nil || !bytes.Equal(got, []byte(text)) {
		t.Errorf("read %d of %d bytes, %v", len(got), len(text), err)
	}
}
