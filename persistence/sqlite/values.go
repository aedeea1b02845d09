package sqlite

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// timeOf is the time that the store has as microseconds.
func timeOf(us int64) time.Time { return time.UnixMicro(us).UTC() }

func timePtr(us *int64) *time.Time {
	if us == nil {
		return nil
	}
	t := timeOf(*us)
	return &t
}

func micros(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	us := t.UnixMicro()
	return &us
}

// checkText refuses what a text cannot hold on every store: NUL and bytes that
// are no UTF-8.
func checkText(texts ...string) error {
	for _, s := range texts {
		if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
			return badRequest("A text holds a NUL character or is not valid UTF-8.", nil)
		}
	}
	return nil
}

// object returns attributes for the column, {} where there are none.
func object(attributes json.RawMessage) (string, error) {
	trimmed := bytes.TrimSpace(attributes)
	if len(trimmed) == 0 {
		return "{}", nil
	}
	if trimmed[0] != '{' || !json.Valid(trimmed) {
		return "", badRequest("Attributes must be a JSON object.", nil)
	}
	return string(trimmed), checkText(string(trimmed))
}

// list is ids or other texts as one parameter, for json_each.
func list[T any](values []T) string {
	b, err := json.Marshal(values)
	if err != nil {
		panic("texts and ids are always JSON: " + err.Error())
	}
	return string(b)
}

// offset is how many rows come before a page, however far it is.
func offset(page, limit int) int64 {
	const far = 1 << 50
	if page < 1 || limit < 1 {
		return 0
	}
	if int64(page-1) > far/int64(limit) {
		return far
	}
	return int64(page-1) * int64(limit)
}
