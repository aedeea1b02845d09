package httpapi

import (
	"time"

	"github.com/dibs-calls/dibs/transport/wire"
	"github.com/google/uuid"
)

// Lengths of texts, in bytes of UTF-8. Those of names and e-mail addresses are in
// package messages.
const (
	maxPhone       = 64
	maxNotes       = wire.MaxNotes
	maxReason      = 500
	maxDisposition = wire.MaxDisposition
	maxSearch      = 200
)

// decode reads the body as one JSON object into v.
func (x *exchange) decode(v any) error { return wire.Decode(x.body, v) }

// text checks a string that goes into the store, see [wire.Text].
func text(field, s string, limit int) (string, error) { return wire.Text(field, s, limit) }

// parseID reads the UUID in field, which must be there.
func parseID(field, s string) (uuid.UUID, error) { return wire.ParseID(field, s) }

// oneOf checks a value of a closed set.
func oneOf(field, s string, allowed ...string) error { return wire.OneOf(field, s, allowed...) }

// parseTime reads a time that may be absent. Years that RFC 3339 cannot write
// in UTC, and those before there were telephones, are refused.
func parseTime(field string, s *string) (*time.Time, error) {
	if s == nil || *s == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339Nano, *s)
	if err != nil {
		return nil, badRequest("%s must be a time such as 2026-01-31T09:30:00Z.", field)
	}
	t = t.UTC().Truncate(time.Microsecond) // what the stores keep
	if t.Year() < 1876 || t.Year() > 9999 {
		return nil, badRequest("%s is out of range.", field)
	}
	return &t, nil
}
