package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// snippet is a block of code in a document.
type snippet struct{ language, text string }

func snippetsOf(t *testing.T, file string) []snippet {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []snippet
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		all = append(all, snippet{m[1], m[2]})
	}
	return all
}

// TestIntegrate does what docs/integrate.md says, in one shell: it starts the
// server, asks, and runs the programs; what comes out is held to the lines behind
// "# →". A block that is neither shell nor a Go program fails the test.
func TestIntegrate(t *testing.T) {
	bin := t.TempDir()
	// The addresses of the document may be taken on this machine.
	place := strings.NewReplacer("127.0.0.1:8080", harness.FreeAddr(t), "127.0.0.1:4222", harness.FreeAddr(t))
	var script strings.Builder
	var blocks []string // of shell
	for _, s := range snippetsOf(t, filepath.Join("..", "docs", "integrate.md")) {
		switch s.language {
		case "sh":
			script.WriteString(s.text + "echo " + endOfBlock + "\n")
			blocks = append(blocks, s.text)
		case "go":
			buildSnippet(t, bin, place.Replace(s.text))
		default:
			t.Fatalf("what is to be done with a block of %q?\n%s", s.language, s.text)
		}
	}
	// What "make build" makes is there, and "go run" finds the programs that were
	// built; the server ends with the shell.
	prelude := fmt.Sprintf(`PATH=%q:$PATH
make() { [ "$*" = build ]; }
go() { [ "$1" = run ] && "%s/${2#./}" "${@:3}"; }
trap 'kill $(jobs -p); wait' EXIT
`, filepath.Dir(tools.dibs), bin)
	text := prelude + place.Replace(script.String())

	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", text)
	cmd.Dir = t.TempDir()
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docs/integrate.md: %v\n%s\n%s", err, out, stderr.String())
	}
	said := strings.Split(string(out), endOfBlock+"\n")
	if len(said) != len(blocks)+1 {
		t.Fatalf("%d blocks, and the output of %d\n%s", len(blocks), len(said)-1, out)
	}
	promises := 0
	for i, block := range blocks {
		rest := said[i]
		for _, p := range regexp.MustCompile(`(?m)^# → (.*)$`).FindAllStringSubmatch(block, -1) {
			promises++
			_, after, found := strings.Cut(rest, p[1])
			if !found {
				t.Fatalf("docs/integrate.md promises\n\t%s\nand what came out is\n%s\n%s", p[1], said[i], stderr.String())
			}
			rest = after
		}
	}
	if promises < 15 {
		t.Fatalf("found %d promises", promises)
	}
}

// endOfBlock stands in the output behind that of each block.
const endOfBlock = "==end-of-block=="

// buildSnippet builds a program whose first line says where it would stand. To
// the go command it stands in this module.
func buildSnippet(t *testing.T, bin, program string) {
	t.Helper()
	m := regexp.MustCompile(`^// ([a-z]+)/main\.go\n`).FindStringSubmatch(program)
	if m == nil {
		t.Fatalf("a program does not begin with its name, as in // claim/main.go:\n%s", program)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	source, overlay := filepath.Join(bin, m[1]+".go"), filepath.Join(bin, m[1]+".json")
	replace, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(root, "docs", m[1], "main.go"): source},
	})
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{source: []byte(program), overlay: replace} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-overlay", overlay, "-o", filepath.Join(bin, m[1]), "./docs/"+m[1])
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docs/integrate.md: go build: %v\n%s", err, out)
	}
}
