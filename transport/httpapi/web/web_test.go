package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func newPage(t *testing.T) *Page {
	t.Helper()
	p, err := New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func get(t *testing.T, p *Page, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

// every calls f for each embedded file.
func every(t *testing.T, f func(name string, content []byte)) {
	t.Helper()
	root, err := fs.Sub(embedded, "static")
	if err != nil {
		t.Fatal(err)
	}
	contents, err := readAll(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(contents) < 30 {
		t.Fatalf("only %d files are embedded", len(contents))
	}
	for name, content := range contents {
		f(name, content)
	}
}

func TestIndex(t *testing.T) {
	p := newPage(t)
	got := get(t, p, "/")
	body := got.Body.String()
	if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %s", got.Code, got.Header().Get("Content-Type"))
	}
	if got.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("the page may be kept: %s", got.Header().Get("Cache-Control"))
	}
	if strings.Contains(body, placeholder) || !strings.Contains(body, p.folder+"js/main.js") {
		t.Errorf("the addresses of the files are not filled in:\n%s", body)
	}
	again := get(t, p, "/", "If-None-Match", got.Header().Get("Etag"))
	if again.Code != http.StatusNotModified {
		t.Errorf("asked again with its ETag: %d", again.Code)
	}
}

func TestAssets(t *testing.T) {
	p := newPage(t)
	types := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
		"svg": "image/svg+xml", "json": "application/json; charset=utf-8", "txt": "text/plain; charset=utf-8"}
	every(t, func(name string, content []byte) {
		if name == indexName {
			return
		}
		got := get(t, p, p.folder+name)
		if got.Code != http.StatusOK || !bytes.Equal(got.Body.Bytes(), content) {
			t.Errorf("%s: %d, or another content", name, got.Code)
		}
		if want := types[name[strings.LastIndex(name, ".")+1:]]; want == "" || got.Header().Get("Content-Type") != want {
			t.Errorf("%s is served as %q", name, got.Header().Get("Content-Type"))
		}
		if !strings.Contains(got.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s", name, got.Header().Get("Cache-Control"))
		}
		if again := get(t, p, p.folder+name, "If-None-Match", got.Header().Get("Etag")); again.Code != http.StatusNotModified {
			t.Errorf("%s asked again with its ETag: %d", name, again.Code)
		}
	})
}

func TestGzip(t *testing.T) {
	p := newPage(t)
	path := p.folder + "third_party/preact.js"
	plain := get(t, p, path)
	want := plain.Body.Bytes()
	for header, zipped := range map[string]bool{"gzip": true, "br, GZIP;q=0.5": true, "*": true, "identity": false,
		"gzip;q=0": false, "*, gzip; q=0": false, "gzip;q=x": false, "": false} {
		got := get(t, p, path, "Accept-Encoding", header, "Range", "bytes=0-9")
		if isZipped := got.Header().Get("Content-Encoding") == "gzip"; isZipped != zipped {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q", header, got.Header().Get("Content-Encoding"))
		}
		if got.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: no Vary", header)
		}
		if !zipped {
			continue
		}
		if got.Header().Get("Etag") == plain.Header().Get("Etag") {
			t.Error("two forms share an ETag")
		}
		z, err := gzip.NewReader(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(z); err != nil || !bytes.Equal(b, want) {
			t.Errorf("Accept-Encoding %q: not the file (%v)", header, err)
		}
	}
}

func TestPolicy(t *testing.T) {
	const want = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	p := newPage(t)
	for _, path := range []string{"/", p.folder + "js/main.js"} {
		h := get(t, p, path).Header()
		for key, value := range map[string]string{"Content-Security-Policy": want, "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
			if h.Get(key) != value {
				t.Errorf("%s: %s is %q", path, key, h.Get(key))
			}
		}
	}
}

func TestUnknownFiles(t *testing.T) {
	p := newPage(t)
	for _, path := range []string{"/index.html", "/assets/", p.folder, p.folder + "index.html", p.folder + "js", p.folder + "js/",
		p.folder + "../web.go", "/assets/0000000000000000/js/main.js", p.folder + "js/main.js/", "/nothing"} {
		if got := get(t, p, path); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.Code)
		}
	}
}

// TestVersion: any change moves all files to a new folder, or a browser would
// run an old one with new ones.
func TestVersion(t *testing.T) {
	folder := func(files fstest.MapFS) string {
		t.Helper()
		p, err := build(files, http.NotFoundHandler())
		if err != nil {
			t.Fatal(err)
		}
		return p.folder
	}
	files := func(name, content string) fstest.MapFS {
		return fstest.MapFS{indexName: {Data: []byte("x")}, "a.js": {Data: []byte("1")}, name: {Data: []byte(content)}}
	}
	first := folder(files("b.js", "2"))
	if folder(files("b.js", "2")) != first {
		t.Error("the same files have different addresses")
	}
	if folder(files("b.js", "3")) == first || folder(files("c.js", "2")) == first {
		t.Error("other files have the same addresses")
	}
	if _, err := build(fstest.MapFS{indexName: {}, "a.exe": {}}, nil); err == nil {
		t.Error("a file of an unknown type is served")
	}
	if _, err := build(fstest.MapFS{"a.js": {}}, nil); err == nil {
		t.Error("a page without index.html is served")
	}
}
