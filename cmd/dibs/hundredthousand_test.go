package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// TestImportOfAHundredThousand imports a large file with 50 broken lines: each
// is named, the others are added, and a second run adds nothing. It runs the
// binary, built as people build it: with the race detector, as this test is
// built itself, SQLite alone would take minutes.
func TestImportOfAHundredThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: it builds the binary and imports for half a minute")
	}
	const n = 100_000
	binary, err := harness.Build(t.Context(), "../..", "./cmd/dibs", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, broken := leads(n, n/50)
	if len(broken) != 50 {
		t.Fatalf("%d broken lines", len(broken))
	}
	sh := newShell(t)
	file := sh.file(text)
	for _, summary := range []string{
		"100000 rows: 99950 added, 0 in the store already, 0 twice in the file, 50 bad\n",
		"100000 rows: 0 added, 99950 in the store already, 0 twice in the file, 50 bad\n",
	} {
		r := execute(t, binary, "clients", "import", file, "--data", sh.env["DIBS_DATA"])
		if r.code != exitPartly || r.stdout != summary {
			t.Fatalf("exit code %d: %s%.1000s", r.code, r.stdout, r.stderr)
		}
		for _, line := range broken {
			has(t, r.stderr, fmt.Sprintf("line %d: ", line))
		}
		if named := strings.Count(r.stderr, "line "); named != 50 {
			t.Errorf("%d lines were named", named)
		}
	}
	_, total, err := sh.store().ListClients(t.Context(), messages.ClientQuery{Page: 1, Limit: 1})
	if err != nil || total != n-50 {
		t.Errorf("%d clients in the store, %v", total, err)
	}
}

func execute(t *testing.T, binary string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
