package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
)

// impureFuncs are the functions of otherwise harmless packages that read the
// clock or do I/O.
func impureFuncs() map[string][]string {
	return map[string][]string{
		"time": {"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"},
		"fmt":  {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	}
}

// impurities returns what in a source file is not pure though its imports are
// allowed: the clock, printing, goroutines and channels.
func impurities(fset *token.FileSet, name string, src any) ([]string, error) {
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var out []string
	report := func(at token.Pos, format string, args ...any) {
		out = append(out, fset.Position(at).String()+": "+fmt.Sprintf(format, args...))
	}
	names := importNames(file, report)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(impureFuncs()[names[x.Name]], n.Sel.Name) {
				report(n.Pos(), "%s.%s: time and output are not for a pure package", names[x.Name], n.Sel.Name)
			}
		case *ast.GoStmt:
			report(n.Pos(), "starts a goroutine")
		case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
			report(n.Pos(), "uses channels")
		}
		return true
	})
	return out, nil
}

// importNames maps the names by which the file knows its imports to their
// paths. A dot import hides them, so it is reported.
func importNames(file *ast.File, report func(token.Pos, string, ...any)) map[string]string {
	names := map[string]string{}
	for _, spec := range file.Imports {
		importPath, _ := strconv.Unquote(spec.Path.Value) // the parser checked it
		name := path.Base(importPath)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			report(spec.Pos(), "dot import of %s", importPath)
		}
		names[name] = importPath
	}
	return names
}
