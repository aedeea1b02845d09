package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/dibs-calls/dibs/messages"
	"github.com/klauspost/compress/gzip"
)

const (
	// pageWindow is how much of a page is written at a time, in bytes; one row may be
	// more. A page that fits is sent whole, with its length.
	pageWindow = 32 << 10
	// pageStream is what a page that does not fit holds beside its rows, in bytes: the
	// window, with the longest row in it.
	pageStream = 256 << 10
	// packer is what it holds to be compressed.
	packer = 1 << 20
	// leastPacked is how long an answer is for compressing it to be worth it.
	leastPacked = 1024
)

// errReaderGone: the answer cannot be written any more, and nobody is there to be told.
var errReaderGone = errors.New("httpapi: the reader of a page is gone")

// pageWriter writes a page of a list. However slowly it is read, no more of its text is
// held than the window, and of a small one, which is compressed before it is sent, no
// state of the compressor.
type pageWriter struct {
	api   *API
	x     *exchange
	pack  bool // the reader takes gzip
	text  bytes.Buffer
	rows  *json.Encoder // to text
	to    io.Writer     // nil: nothing was sent yet
	zip   *gzip.Writer  // nil: none
	count int
}

// startList takes a place for a list, which is given back when the request is over.
func (a *API) startList(x *exchange) (*helping, error) {
	h := &helping{}
	if err := h.begin(a.larder, x.who.Caller()); err != nil {
		return nil, err
	}
	x.helping = h
	return h, nil
}

// respondPage answers with rows under name, and how many there are in all.
func respondPage[T any](a *API, x *exchange, name string, rows []T, total, page, limit int) error {
	w := &pageWriter{api: a, x: x, pack: acceptsGzip(x.r.Header["Accept-Encoding"])}
	x.w.Header()["Vary"] = acceptEncoding
	w.text.Grow(int(min(x.helping.used+leastPacked, pageWindow)))
	w.rows = json.NewEncoder(&w.text)
	w.rows.SetEscapeHTML(false) // '<' would be six bytes, in an answer that no browser takes for a page
	w.text.WriteString(`{"` + name + `":[`)
	for i := range rows {
		if err := w.row(&rows[i]); err != nil {
			return w.broken(err)
		}
	}
	fmt.Fprintf(&w.text, `],"totalCount":%d,"page":%d,"limit":%d,"totalPages":%d}`, total, page, limit, pages(total, limit))
	return w.broken(w.end())
}

// row writes one row.
func (w *pageWriter) row(v any) error {
	if w.count++; w.count > 1 {
		w.text.WriteByte(',')
	}
	if err := w.rows.Encode(v); err != nil {
		return internal("encoding a row: %w", err)
	}
	w.text.Truncate(w.text.Len() - 1) // its line feed
	if w.text.Len() < pageWindow {
		return nil
	}
	return w.flush()
}

// flush sends what is in the window.
func (w *pageWriter) flush() error {
	if w.to == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if _, err := w.to.Write(w.text.Bytes()); err != nil {
		return errReaderGone
	}
	w.text.Reset()
	return nil
}

// begin sends the header of a page that does not fit into the window.
func (w *pageWriter) begin() error {
	held := pageStream
	if w.pack {
		held += packer
	}
	if err := w.x.helping.take(held); err != nil {
		return err
	}
	h := w.x.w.Header()
	h["Content-Type"] = jsonType
	w.to = w.x.w
	if w.pack {
		h.Set("Content-Encoding", "gzip")
		w.zip = w.api.zips.get(w.x.w)
		w.to = w.zip
	}
	w.x.writeHeader(http.StatusOK)
	return nil
}

// end sends the rest, or all of it.
func (w *pageWriter) end() error {
	if w.to != nil {
		err := w.flush()
		if err == nil && w.zip != nil && w.zip.Close() != nil {
			err = errReaderGone
		}
		w.api.zips.put(w.zip)
		return err
	}
	b := w.text.Bytes()
	h := w.x.w.Header()
	if w.pack && len(b) >= leastPacked {
		var packed bytes.Buffer
		packed.Grow(len(b) / 2)
		zip := w.api.zips.get(&packed)
		_, _ = zip.Write(b) // into memory
		if err := zip.Close(); err != nil {
			return internal("compressing a page: %w", err)
		}
		w.api.zips.put(zip)
		h.Set("Content-Encoding", "gzip")
		b = packed.Bytes()
	}
	h["Content-Length"] = []string{strconv.Itoa(len(b))}
	w.x.write(http.StatusOK, b)
	return nil
}

// broken says what becomes of a page that could not be written to its end. When
// some of it was sent, it can only be broken off.
func (w *pageWriter) broken(err error) error {
	switch {
	case err == nil, errors.Is(err, errReaderGone):
		return nil
	case w.to == nil:
		return err
	}
	w.api.mark(w.x, messages.CodeInternal, http.StatusInternalServerError)
	w.api.logFailure(w.x, w.x.status, problemOf(err, w.x.r.Method))
	panic(http.ErrAbortHandler)
}

// startSaving takes what the answer to who saves a client may hold.
func (a *API) startSaving(x *exchange) error {
	x.helping = &helping{from: a.saved, caller: x.who.Caller()}
	return x.helping.take(smallAnswer + longestClient)
}

// respondClient answers with one client, who may be a large one.
func (a *API) respondClient(x *exchange, status int, client messages.Client) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(clientAnswer{client}); err != nil {
		return internal("encoding the answer: %w", err)
	}
	if x.helping == nil && text.Len() > smallAnswer {
		x.helping = &helping{from: a.larder, caller: x.who.Caller()}
		if err := x.helping.take(text.Len()); err != nil {
			return err
		}
	}
	x.write(status, bytes.TrimSuffix(text.Bytes(), []byte("\n")))
	return nil
}
