package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Runner{M: m}) }

// shell runs commands as a shell would, each with the same store.
type shell struct {
	t     *testing.T
	env   map[string]string
	stdin io.Reader
	open  func(ctx context.Context, cfg storeConfig) (persistence.Store, error)
	serve func(ctx context.Context, cfg serveConfig, ln net.Listener, store persistence.Store, log *slog.Logger, ready func(string)) error
}

// newShell has a data folder that does not exist yet.
func newShell(t *testing.T) *shell {
	env := map[string]string{"DIBS_DATA": filepath.Join(t.TempDir(), "data"), "DIBS_LISTEN": "127.0.0.1:0"}
	return &shell{t: t, env: env, open: openStore}
}

// stores is a shell for each kind of store.
func stores(t *testing.T, f func(t *testing.T, sh *shell)) {
	t.Run("SQLite", func(t *testing.T) { f(t, newShell(t)) })
	t.Run("Postgres", func(t *testing.T) {
		sh := newShell(t)
		sh.env["DIBS_DATABASE_URL"] = pgtest.EmptyURL(t)
		f(t, sh)
	})
}

type result struct {
	code           int
	stdout, stderr string
}

func (sh *shell) run(args ...string) result {
	sh.t.Helper()
	return sh.runCtx(sh.t.Context(), args...)
}

func (sh *shell) runCtx(ctx context.Context, args ...string) result {
	sh.t.Helper()
	var stdout, stderr bytes.Buffer
	c := &cli{
		stdin: sh.stdin, stdout: &stdout, stderr: &stderr,
		env:  func(name string) (string, bool) { v, ok := sh.env[name]; return v, ok },
		open: sh.open, serve: sh.serve,
		hashes: auth.Params{MemoryKiB: 64, Passes: 1, Threads: 1},
		by:     "cli:tester",
	}
	if c.stdin == nil {
		c.stdin = strings.NewReader("")
	}
	code := c.run(ctx, args)
	return result{code, stdout.String(), stderr.String()}
}

// want runs a command that must end with code, and returns what it said.
func (sh *shell) want(code int, args ...string) result {
	sh.t.Helper()
	r := sh.run(args...)
	if r.code != code {
		sh.t.Fatalf("dibs %s: exit code %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}

// file writes a file for a command to read.
func (sh *shell) file(text string) string {
	sh.t.Helper()
	name := filepath.Join(sh.t.TempDir(), "file.csv")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		sh.t.Fatal(err)
	}
	return name
}

// has fails the test unless text contains all of want.
func has(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in:\n%s", w, text)
		}
	}
}
