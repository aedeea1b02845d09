package httpapi

import (
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
)

// idempotencyKey is the key that a request came with, or nil.
func (x *exchange) idempotencyKey() (*messages.Key, error) {
	return wire.Key(x.who.Caller(), x.r.Header[wire.KeyHeader], x.body, x.r.Method, x.r.URL.Path)
}
