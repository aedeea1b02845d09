package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"

	"github.com/dibs-calls/dibs/messages"
)

// KeyHeader is the header that an idempotency key comes in, on every transport.
const KeyHeader = "Idempotency-Key"

const maxKey = 255 // bytes

// Key reads the idempotency key of a request from the lines of its header; nil:
// there is none. The digest covers what is asked for (place: the address, in
// parts) and the body, but not how the body is written: spaces and the order of
// fields may differ in a retry.
func Key(caller string, lines []string, body []byte, place ...string) (*messages.Key, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	value := lines[0]
	if len(lines) > 1 || value == "" || len(value) > maxKey || !printable(value) {
		return nil, BadRequest("Idempotency-Key must be one to %d printable ASCII characters.", maxKey)
	}
	canonical, err := canonicalJSON(body)
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	for _, part := range place {
		digest.Write([]byte(part))
		digest.Write([]byte{0})
	}
	digest.Write(canonical)
	digest.Write([]byte{0})
	return &messages.Key{Caller: caller, Value: value, Digest: [32]byte(digest.Sum(nil))}, nil
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
		return nil, BadRequest("The body is not valid JSON.")
	}
	canonical, err := json.Marshal(v)
	if err != nil {
		return nil, Internal("encoding a body again: %w", err)
	}
	return canonical, nil
}
