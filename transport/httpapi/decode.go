package httpapi

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// Lengths of texts, in bytes of UTF-8.
const (
	maxName        = 200
	maxPhone       = 64
	maxEmail       = 254
	maxNotes       = 16 << 10
	maxReason      = 500
	maxDisposition = 200
	maxSearch      = 200
)

// decode reads the body as one JSON object into v. Fields that v does not have
// are ignored; of a field that comes twice the last counts.
func (x *exchange) decode(v any) error {
	if !utf8.Valid(x.body) {
		return badRequest("The body is not valid UTF-8.")
	}
	err := json.Unmarshal(x.body, v)
	if err == nil {
		return nil
	}
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return badRequest("%s must be %s.", wrongType.Field, kindOf(wrongType.Type))
	case errors.As(err, &wrongType):
		return badRequest("The body must be a JSON object.")
	case errors.As(err, &syntax):
		return badRequest("The body is not valid JSON, from character %d on.", syntax.Offset)
	}
	return &problem{Code: messages.CodeBadRequest, Sentence: "The body is not valid JSON.", cause: err}
}

// kindOf says in words what Go expected.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	}
	return "another type"
}

// text checks a string that goes into the store: no NUL, which Postgres cannot
// keep, and no more than limit bytes. It returns it without the space around.
func text(field, s string, limit int) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case len(s) > limit:
		return "", badRequest("%s is longer than %d bytes.", field, limit)
	case strings.IndexByte(s, 0) >= 0:
		return "", badRequest("%s contains a NUL character.", field)
	case !utf8.ValidString(s):
		return "", badRequest("%s is not valid UTF-8.", field)
	}
	return s, nil
}

// parseID reads the UUID in field, which must be there. The one that is all
// zeros means "none" inside, so nobody may name it.
func parseID(field, s string) (uuid.UUID, error) {
	if s == "" {
		return uuid.Nil, badRequest("%s is required.", field)
	}
	id, err := messages.ParseID(s)
	switch {
	case err != nil:
		return uuid.Nil, badRequest("%s must be a UUID.", field)
	case id == uuid.Nil:
		return uuid.Nil, badRequest("%s must not be all zeros.", field)
	}
	return id, nil
}

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

// oneOf checks a value of a closed set.
func oneOf(field, s string, allowed ...string) error {
	for _, a := range allowed {
		if s == a {
			return nil
		}
	}
	if s == "" {
		return badRequest("%s is required: one of %s.", field, strings.Join(allowed, ", "))
	}
	return badRequest("%s must be one of %s.", field, strings.Join(allowed, ", "))
}
