package archtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestDependenciesAreDocumented holds docs/dependencies.md to go.mod and
// tools/go.mod: each direct dependency has a row, with its version, and no row
// names another version or something that is not there.
func TestDependenciesAreDocumented(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)`[^|]*\\| `?(v[^ `|]+)`? \\|")
	for _, row := range rows.FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[2]
	}
	project := requirements(t, filepath.Join(root, "go.mod"))
	tools := requirements(t, filepath.Join(root, "tools", "go.mod"))
	for path, r := range project {
		if got, ok := documented[path]; !r.Indirect && !ok {
			t.Errorf("%s %s is imported and has no row", path, r.Version)
		} else if ok && got != r.Version {
			t.Errorf("%s: the row says %s, go.mod %s", path, got, r.Version)
		}
	}
	for path, version := range documented {
		if _, ok := project[path]; ok {
			continue
		}
		if r, ok := tools[path]; !ok || r.Version != version {
			t.Errorf("%s %s has a row, and go.mod and tools/go.mod do not have it", path, version)
		}
	}
}

type requirement struct {
	Path, Version string
	Indirect      bool
}

func requirements(t *testing.T, gomod string) map[string]requirement {
	t.Helper()
	out, err := exec.Command("go", "mod", "edit", "-json", gomod).Output()
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Require []requirement }
	if err := json.Unmarshal(out, &file); err != nil {
		t.Fatal(err)
	}
	found := map[string]requirement{}
	for _, r := range file.Require {
		found[r.Path] = r
	}
	return found
}
