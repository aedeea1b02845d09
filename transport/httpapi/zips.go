package httpapi

import (
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// zips keeps compressors that are free: making one costs more than a page.
type zips struct{ pool sync.Pool }

func (z *zips) get(to io.Writer) *gzip.Writer {
	if free, ok := z.pool.Get().(*gzip.Writer); ok {
		free.Reset(to)
		return free
	}
	return gzip.NewWriter(to)
}

// put takes a compressor back; nil is none.
func (z *zips) put(used *gzip.Writer) {
	if used != nil {
		used.Reset(io.Discard) // else it would hold on to a connection
		z.pool.Put(used)
	}
}
