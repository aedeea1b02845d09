package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// The shell blocks of docs/operations.md have names, by which tests run them:
//
//	```sh sqlite-backup
//
// What cannot be run here (systemctl, kubectl, docker) stands in blocks of the
// language "console".
const operationsFile = "operations.md"

// operations are the named blocks. Each is run by a test of these files.
func operations(t testing.TB) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", operationsFile))
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]string{}
	for _, m := range regexp.MustCompile("(?ms)^```([^\n]+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		language, name, _ := strings.Cut(m[1], " ")
		switch {
		case language == "sh" && (name == "" || blocks[name] != ""):
			t.Errorf("docs/%s: a shell block without a name of its own: %q\n%s", operationsFile, name, m[2])
		case language == "sh":
			blocks[name] = m[2]
		case !slices.Contains([]string{"console", "text", "yaml", "sql"}, language):
			t.Errorf("docs/%s: what is to be done with a block of %q?", operationsFile, m[1])
		}
	}
	return blocks
}

// TestOperationsAreRun: no block is left out by the tests of these files, and no
// test is about a block that is gone.
func TestOperationsAreRun(t *testing.T) {
	var run []string
	files, err := filepath.Glob("operations*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`runOperation\(t, "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
			run = append(run, m[1])
		}
	}
	for name := range operations(t) {
		if !slices.Contains(run, name) {
			t.Errorf("docs/%s: no test runs the block %q", operationsFile, name)
		}
	}
}

// runOperation runs a block of docs/operations.md in a folder, as an operator
// would, with these variables set, and returns what it printed.
func runOperation(t testing.TB, name, dir string, env ...string) string {
	t.Helper()
	block := operations(t)[name]
	if block == "" {
		t.Fatalf("docs/%s has no shell block %q", operationsFile, name)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", block)
	cmd.Dir = dir
	cmd.WaitDelay = 10 * time.Second
	path := strings.Join([]string{filepath.Dir(tools.dibs), pgtest.BinDir(t), os.Getenv("PATH")}, string(os.PathListSeparator))
	cmd.Env = append(os.Environ(), append(env, "PATH="+path)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docs/%s, %s: %v\n%s\n%s", operationsFile, name, err, out, stderr.String())
	}
	return string(out)
}
