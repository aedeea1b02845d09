package wire

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// Lengths, in bytes of UTF-8.
const (
	MaxBody        = 64 << 10
	MaxNotes       = 16 << 10
	MaxDisposition = 200
)

// Decode reads a body as one JSON object into v. Fields that v does not have
// are ignored; of a field that comes twice the last counts.
func Decode(body []byte, v any) error {
	if !utf8.Valid(body) {
		return BadRequest("The body is not valid UTF-8.")
	}
	if in, ok := v.(*Change); ok { // of which there are thousands a second
		quick := *in
		if quick.readPlain(string(body)) {
			*in = quick
			return nil
		}
	}
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return BadRequest("%s must be %s.", wrongType.Field, kindOf(wrongType.Type))
	case errors.As(err, &wrongType):
		return BadRequest("The body must be a JSON object.")
	case errors.As(err, &syntax):
		return BadRequest("The body is not valid JSON, from character %d on.", syntax.Offset)
	}
	return &Problem{Code: messages.CodeBadRequest, Sentence: "The body is not valid JSON.", Cause: err}
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

// Text checks a string that goes into the store: no NUL, which Postgres cannot
// keep, and no more than limit bytes. It returns it without the space around.
func Text(field, s string, limit int) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case len(s) > limit:
		return "", BadRequest("%s is longer than %d bytes.", field, limit)
	case strings.IndexByte(s, 0) >= 0:
		return "", BadRequest("%s contains a NUL character.", field)
	case !utf8.ValidString(s):
		return "", BadRequest("%s is not valid UTF-8.", field)
	}
	return s, nil
}

// ParseID reads the UUID in field, which must be there. The one that is all
// zeros means "none" inside, so nobody may name it.
func ParseID(field, s string) (uuid.UUID, error) {
	if s == "" {
		return uuid.Nil, BadRequest("%s is required.", field)
	}
	id, err := messages.ParseID(s)
	switch {
	case err != nil:
		return uuid.Nil, BadRequest("%s must be a UUID.", field)
	case id == uuid.Nil:
		return uuid.Nil, BadRequest("%s must not be all zeros.", field)
	}
	return id, nil
}

// OneOf checks a value of a closed set.
func OneOf(field, s string, allowed ...string) error {
	for _, a := range allowed {
		if s == a {
			return nil
		}
	}
	if s == "" {
		return BadRequest("%s is required: one of %s.", field, strings.Join(allowed, ", "))
	}
	return BadRequest("%s must be one of %s.", field, strings.Join(allowed, ", "))
}
