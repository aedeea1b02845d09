package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"

	"github.com/dibs-calls/dibs/internal/testcache"
)

const module = "github.com/dibs-calls/dibs"

// pkg is a package of the project as `go list -json` shows it.
type pkg struct {
	Dir          string
	ImportPath   string
	GoFiles      []string
	Imports      []string
	TestImports  []string // of tests inside the package
	XTestImports []string // of tests outside it (package x_test)
}

// graph is the project, by import path.
type graph map[string]pkg

// loadGraph lists the module at root.
func loadGraph(root string) (graph, error) {
	if err := testcache.DependOnModule(root); err != nil {
		return nil, err
	}
	fields := "-json=Dir,ImportPath,GoFiles,Imports,TestImports,XTestImports"
	cmd := exec.Command("go", "list", "-e", fields, "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	g := graph{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return g, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		g[p.ImportPath] = p
	}
}

// chain returns the shortest way from the imports given to a package that
// matches, through production code of the project; nil if there is none.
func (g graph) chain(imports []string, matches func(string) bool) []string {
	var queue [][]string
	for _, path := range imports {
		queue = append(queue, []string{path})
	}
	seen := map[string]bool{}
	for ; len(queue) > 0; queue = queue[1:] {
		way := queue[0]
		last := way[len(way)-1]
		if matches(last) {
			return way
		}
		if seen[last] {
			continue
		}
		seen[last] = true
		for _, next := range g[last].Imports {
			queue = append(queue, append(slices.Clone(way), next))
		}
	}
	return nil
}

// patterns name packages: "x" is x alone, "x/..." is x and all below it, "./x"
// is in the project. Nil matches nothing.
type patterns []string

func (ps patterns) match(path string) bool {
	return slices.ContainsFunc(ps, func(p string) bool {
		if rest, ok := strings.CutPrefix(p, "./"); ok {
			p = module + "/" + rest
		}
		if p == module+"/..." || p == "..." {
			return p == "..." || path == module || strings.HasPrefix(path, module+"/")
		}
		if root, ok := strings.CutSuffix(p, "/..."); ok {
			return path == root || strings.HasPrefix(path, root+"/")
		}
		return path == p
	})
}
