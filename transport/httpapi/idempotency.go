package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"

	"github.com/dibs-calls/dibs/messages"
)

const maxKey = 255 // bytes

// idempotencyKey is the key that a request came with, or nil. Its digest
// covers what the request asks for, not how it is written: spaces and the
// order of fields may differ in a retry.
func (x *exchange) idempotencyKey() (*messages.Key, error) {
	lines := x.r.Header["Idempotency-Key"]
	if len(lines) == 0 {
		return nil, nil
	}
	value := lines[0]
	if len(lines) > 1 || value == "" || len(value) > maxKey || !printable(value) {
		return nil, badRequest("Idempotency-Key must be one to %d printable ASCII characters.", maxKey)
	}
	canonical, err := canonicalJSON(x.body)
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	for _, part := range [][]byte{[]byte(x.r.Method), []byte(x.r.URL.Path), canonical} {
		digest.Write(part)
		digest.Write([]byte{0})
	}
	return &messages.Key{Caller: x.who.Caller(), Value: value, Digest: [32]byte(digest.Sum(nil))}, nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// canonicalJSON writes a body anew, without spaces and with sorted fields. An
// empty body is itself.
func canonicalJSON(body []byte) ([]byte, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, badRequest("The body is not valid JSON.")
	}
	canonical, err := json.Marshal(v)
	if err != nil {
		return nil, internal("encoding a body again: %w", err)
	}
	return canonical, nil
}
