package httpapi

import (
	"sync"

	"github.com/dibs-calls/dibs/transport/wire"
)

// roomy is what a body and an answer are kept in at most for the next request, in
// bytes. Answers above that may still be read by net/http's HTTP/2 after they were
// written, when a stream was reset: it copies what fits into its buffer of 4 KiB,
// and nothing else.
const roomy = 2 << 10

// room is the memory that a request is read into and answered from. The next one
// gets it, so nothing may refer to it when the request is over.
type room struct {
	body, answer []byte
	change       wire.Change
}

// rooms keeps rooms that are free.
type rooms struct{ pool sync.Pool }

func (r *rooms) enter() *room {
	if free, ok := r.pool.Get().(*room); ok {
		return free
	}
	return &room{body: make([]byte, 0, 256), answer: make([]byte, 0, 640)}
}

func (r *rooms) leave(used *room) {
	if used != nil && cap(used.body) <= roomy && cap(used.answer) <= roomy {
		used.change = wire.Change{}
		r.pool.Put(used)
	}
}
