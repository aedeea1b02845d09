package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLinksOfDocuments: what a document of the repository links to beside it is
// there.
func TestLinksOfDocuments(t *testing.T) {
	root := filepath.Join("..", "..")
	documents := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && skippedFolder(d.Name()):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		documents++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, link := range brokenLinks(filepath.Dir(path), string(text)) {
			t.Errorf("%s links to %s, which is not there", path, link)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if documents < 4 {
		t.Errorf("only %d documents were found", documents)
	}
}

func TestBrokenLinks(t *testing.T) {
	text := "[a](docs_test.go) ![b](gone.svg) [c](https://example.com/x) [d](doc.go#top) [e](#here)\n```\n[f](in-code.md)\n```\n" +
		"[g](gone.md \"title\")\n[h]: gone-too.md\n<img src=\"gone.png\">\n"
	if got := strings.Join(brokenLinks(".", text), " "); got != "gone.svg gone.md gone-too.md gone.png" {
		t.Errorf("found %q", got)
	}
}

// skippedFolder: hidden folders, what was built, and the data of a server.
func skippedFolder(name string) bool {
	return strings.HasPrefix(name, ".") || name == "bin" || name == "node_modules" || name == "dibs-data"
}

// brokenLinks returns the relative links of a document in folder to what does
// not exist. Code is not looked at.
func brokenLinks(folder, text string) []string {
	code := regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	links := regexp.MustCompile(`(?m)\]\(([^)\s]+)[^)]*\)|^\[[^\]]+\]:\s*(\S+)|\b(?:src|href)="([^"]+)"`)
	var broken []string
	for _, m := range links.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
		link, _, _ := strings.Cut(m[1]+m[2]+m[3], "#")
		link = strings.Trim(link, "<>")
		if link == "" || strings.Contains(link, ":") {
			continue // within the document, or somewhere else
		}
		if _, err := os.Stat(filepath.Join(folder, link)); err != nil {
			broken = append(broken, link)
		}
	}
	return broken
}
