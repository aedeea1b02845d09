// Package testcache lets the go command's cache of test results notice what a
// test depends on without importing it: a binary that it builds, a package
// that it lists. Without that, a test that passed once is "(cached)" for ever,
// whatever happens to the code that it is about.
package testcache

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// DependOnModule makes the result of the running test depend on the files of
// the module at root: the go command notes which files of the module a test
// looks at with [os.Stat], and runs it again when one has changed. Hidden
// folders are left out.
func DependOnModule(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case entry.IsDir():
			return nil
		}
		_, err = os.Stat(path)
		return err
	})
}
