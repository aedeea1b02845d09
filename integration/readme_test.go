package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme runs the shell blocks of the README against the demo, one after
// the other in one shell, and holds what they print to the lines behind "# →".
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	d := onSQLite(t)
	s := d.Serve(t, "--demo")
	s.WaitReady(readyLimit)

	var script strings.Builder
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		script.WriteString(block[1])
	}
	const demo = "http://127.0.0.1:8080"
	if !strings.Contains(script.String(), demo) {
		t.Fatalf("the README's blocks do not name %s", demo)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", strings.ReplaceAll(script.String(), demo, s.URL))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the README's walk-through: %v\n%s\n%s", err, out, stderr.String())
	}

	rest := string(out)
	promises := regexp.MustCompile(`(?m)^# → (.*)$`).FindAllStringSubmatch(script.String(), -1)
	if len(promises) < 8 {
		t.Fatalf("found %d promises in the README", len(promises))
	}
	for _, p := range promises {
		_, after, found := strings.Cut(rest, p[1])
		if !found {
			t.Fatalf("the README promises\n\t%s\nand the server said\n%s", p[1], out)
		}
		rest = after
	}
}
