package check

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// TestRecipeOfTheImage reads the Dockerfile with Docker's own parser: the image
// is one binary that nobody's root runs, built with the Go that go.mod asks for,
// from files that are there.
func TestRecipeOfTheImage(t *testing.T) {
	f, err := os.Open("../container/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Warnings) > 0 || len(stages) != 2 {
		t.Fatalf("%d stages, warnings: %v", len(stages), parsed.Warnings)
	}
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(gomod)[1]
	if base := stages[0].BaseName; !strings.HasSuffix(base, "/golang:"+string(wanted)) {
		t.Errorf("it is built with %s, and go.mod wants Go %s", base, wanted)
	}
	if stages[1].BaseName != "scratch" {
		t.Errorf("the image is based on %s", stages[1].BaseName)
	}
	said := map[string]string{}
	for _, c := range stages[1].Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			said["user"] = c.User
		case *instructions.EntrypointCommand:
			said["entrypoint"] = strings.Join(c.CmdLine, " ")
		case *instructions.CmdCommand:
			said["cmd"] = strings.Join(c.CmdLine, " ")
		case *instructions.RunCommand:
			t.Errorf("an image from scratch has nothing to run: %s", c)
		}
	}
	if said["user"] != "65532:65532" || said["entrypoint"] != "/dibs" || said["cmd"] != "serve" {
		t.Errorf("%v", said)
	}
}

// TestBuildContextHasWhatIsNeeded: nothing that dibs is built from is ignored.
func TestBuildContextHasWhatIsNeeded(t *testing.T) {
	ignored, err := os.ReadFile("../container/Dockerfile.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	lists, err := goList("-deps", "-f", "{{if and .Module (eq .Module.Path \"github.com/dibs-calls/dibs\")}}{{.Dir}}{{end}}", "./cmd/dibs")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for dir := range strings.FieldsSeq(lists) {
		dir, err := filepath.Rel(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		for out := range strings.FieldsSeq(string(ignored)) {
			if dir == out || strings.HasPrefix(dir, out+"/") {
				t.Errorf("dibs is built from %s, which is left out of the build context", dir)
			}
		}
	}
}
