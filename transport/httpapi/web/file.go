package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// smallest is the size from which compressing pays.
const smallest = 512

// file is one file as it is served. It never changes.
type file struct {
	name        string
	contentType string
	tag         string // without quotes
	plain       []byte
	zipped      []byte // nil: not worth it
}

// newFile compresses with z, which serves one file after the other.
func newFile(name string, content []byte, z *gzip.Writer) (file, error) {
	kind, ok := contentType(name)
	if !ok {
		return file{}, fmt.Errorf("web: %s is of a type that is not served", name)
	}
	f := file{name: name, contentType: kind, tag: digest(content), plain: content}
	if len(content) < smallest {
		return f, nil
	}
	var b bytes.Buffer
	z.Reset(&b)
	if _, err := z.Write(content); err != nil {
		return file{}, err
	}
	if err := z.Close(); err != nil {
		return file{}, err
	}
	if b.Len() < len(content) {
		f.zipped = b.Bytes()
	}
	return f, nil
}

// serve answers with the file, or that the reader has it. The ETag of the
// compressed form is another one, as strong ones must be.
func (f *file) serve(w http.ResponseWriter, r *http.Request, cache string) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", cache)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	body, tag := f.plain, f.tag
	if f.zipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			body, tag = f.zipped, f.tag+"-gzip"
			h.Set("Content-Encoding", "gzip")
			h.Set("Content-Length", strconv.Itoa(len(body)))
			// A part of a compressed file is of no use to anybody.
			r = r.Clone(r.Context())
			r.Header.Del("Range")
		}
	}
	h.Set("Etag", `"`+tag+`"`)
	// The time is zero: a binary does not know when its files were made.
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reads Accept-Encoding as far as one encoding needs it: named, or
// meant by a star, and not refused by a weight of zero.
func acceptsGzip(lines []string) bool {
	accepted := false
	for entry := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name, weight, _ := strings.Cut(entry, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "*" {
			continue
		}
		_, q, weighted := strings.Cut(weight, "=")
		value, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		accepted = !weighted || (err == nil && value > 0)
		if name == "gzip" {
			return accepted // what is named counts more than the star
		}
	}
	return accepted
}
