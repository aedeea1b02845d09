package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var embedded embed.FS

const (
	indexName   = "index.html"
	assetPrefix = "/assets/"
	// placeholder stands in the page where the folder of its files belongs.
	placeholder = "{{assets}}"
)

// policy is the Content-Security-Policy of the page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// contentType lists what is served; a file of any other type is a mistake. Letting
// the operating system name them would make them differ between machines.
func contentType(name string) (string, bool) {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8", true
	case ".css":
		return "text/css; charset=utf-8", true
	case ".js":
		return "text/javascript; charset=utf-8", true
	case ".svg":
		return "image/svg+xml", true
	case ".json":
		return "application/json; charset=utf-8", true
	case ".txt":
		return "text/plain; charset=utf-8", true
	}
	return "", false
}

// Page serves the files. It is safe for concurrent use and never changes.
type Page struct {
	index  file
	assets map[string]file // by path under the folder of this version
	folder string          // "/assets/<version>/"
	lost   http.Handler
}

// New prepares the files: what is served is compressed once, here. Requests for
// what there is not go to lost.
func New(lost http.Handler) (*Page, error) {
	root, err := fs.Sub(embedded, "static")
	if err != nil {
		return nil, err
	}
	return build(root, lost)
}

func build(root fs.FS, lost http.Handler) (*Page, error) {
	contents, err := readAll(root)
	if err != nil {
		return nil, err
	}
	index, ok := contents[indexName]
	if !ok {
		return nil, fmt.Errorf("web: there is no %s", indexName)
	}
	delete(contents, indexName)
	p := &Page{assets: make(map[string]file, len(contents)), folder: assetPrefix + version(contents) + "/", lost: lost}
	z := gzip.NewWriter(nil) // one for all files: a new one is a megabyte
	for name, content := range contents {
		if p.assets[name], err = newFile(name, content, z); err != nil {
			return nil, err
		}
	}
	index = bytes.ReplaceAll(index, []byte(placeholder), []byte(strings.TrimSuffix(p.folder, "/")))
	p.index, err = newFile(indexName, index, z)
	return p, err
}

func readAll(root fs.FS) (map[string][]byte, error) {
	contents := make(map[string][]byte)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		contents[name], err = fs.ReadFile(root, name)
		return err
	})
	return contents, err
}

// version is a digest of all files and their names: two builds with the same
// files have the same addresses, and any change gives all of them new ones, so
// that a page never runs with a mixture.
func version(contents map[string][]byte) string {
	sums := make(map[string]string, len(contents))
	for name, content := range contents {
		sums[name] = digest(content)
	}
	all := fmt.Sprint(sums) // fmt prints maps in the order of their keys
	return digest([]byte(all))[:16]
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// ServeHTTP implements [http.Handler] for GET and HEAD.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" {
		p.index.serve(w, r, "no-cache")
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, p.folder)
	f, known := p.assets[name]
	if !ok || !known {
		p.lost.ServeHTTP(w, r)
		return
	}
	f.serve(w, r, "public, max-age=31536000, immutable")
}
