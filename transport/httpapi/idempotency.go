package httpapi

import (
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
)

// idempotencyKey is the key that a request came with, or nil.
func (x *exchange) idempotencyKey() (*messages.Key, error) {
	lines := x.r.Header[wire.KeyHeader]
	if len(lines) == 0 {
		return nil, nil
	}
	return wire.Key(x.who.Caller(), lines, x.body, x.r.Method, x.r.URL.Path)
}
