package chaos

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutation is a guard taken out of dibs: one piece of a source file, replaced
// for one build by the compiler's own means (go build -overlay). The sources
// stay as they are, and no program that anybody runs has a switch for it. A
// guard that was moved or rewritten is not found any more and fails the test:
// then the mutation must follow it.
type mutation struct {
	file     string // of the module, or an absolute path
	guard    string // what stands there, once; empty: the file is new
	replaced string
}

// path is where the file is.
func (m mutation) path(t *testing.T) string {
	t.Helper()
	if filepath.IsAbs(m.file) {
		return m.file
	}
	path, err := filepath.Abs(filepath.Join(root, m.file))
	must(t, err)
	return path
}

// applied returns the file's text without the guard.
func (m mutation) applied(t *testing.T, text string) string {
	t.Helper()
	if m.guard == "" {
		return m.replaced
	}
	if n := strings.Count(text, m.guard); n != 1 {
		t.Fatalf("the guard stands %d times in %s, want once: %s", n, m.file, m.guard)
	}
	return strings.Replace(text, m.guard, m.replaced, 1)
}

// build compiles dibs with these guards taken out.
func build(t *testing.T, guards ...mutation) string {
	t.Helper()
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	texts := map[string]string{}
	for _, m := range guards {
		path := m.path(t)
		if texts[path] == "" && m.guard != "" {
			raw, err := os.ReadFile(path)
			must(t, err)
			texts[path] = string(raw)
		}
		texts[path] = m.applied(t, texts[path])
		overlay.Replace[path] = filepath.Join(dir, strings.ReplaceAll(m.file, "/", "_"))
		must(t, os.WriteFile(overlay.Replace[path], []byte(texts[path]), 0o600))
	}
	raw, err := json.Marshal(overlay)
	must(t, err)
	file, bin := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "dibs")
	must(t, os.WriteFile(file, raw, 0o600))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-overlay", file, "-o", bin, "./cmd/dibs")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building without a guard: %v\n%s", err, out)
	}
	return bin
}
