package httpapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/dibs-calls/dibs/messages"
)

const (
	maxAttributeDepth = 32
	maxDigits         = 100 // of a number, all its characters
	maxExponent       = 300
)

// attributes checks the free JSON object of a client, and writes it anew. A
// JSON document can be right and still be more than a database keeps: NUL
// characters, halves of surrogate pairs, numbers with a million digits,
// objects in objects without end.
func attributes(raw json.RawMessage) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, badRequest("attributes is not valid JSON.")
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, badRequest("attributes must be a JSON object.")
	}
	if err := checkAttribute(object, 1); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil {
		return nil, internal("encoding attributes: %w", err)
	}
	if out.Len() > messages.MaxAttributes {
		return nil, badRequest("attributes is larger than %d KiB.", messages.MaxAttributes>>10)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

func checkAttribute(v any, depth int) error {
	if depth > maxAttributeDepth {
		return badRequest("attributes is nested deeper than %d levels.", maxAttributeDepth)
	}
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if strings.IndexByte(key, 0) >= 0 {
				return badRequest("attributes contains a NUL character.")
			}
			if err := checkAttribute(value, depth+1); err != nil {
				return err
			}
		}
	case []any:
		for _, value := range v {
			if err := checkAttribute(value, depth+1); err != nil {
				return err
			}
		}
	case string:
		if strings.IndexByte(v, 0) >= 0 {
			return badRequest("attributes contains a NUL character.")
		}
	case json.Number:
		return checkNumber(string(v))
	}
	return nil
}

// checkNumber refuses numbers that no database type holds.
func checkNumber(s string) error {
	_, err := strconv.ParseFloat(s, 64)
	exponent := 0
	if i := strings.IndexAny(s, "eE"); i >= 0 && err == nil {
		exponent, err = strconv.Atoi(s[i+1:])
	}
	if err != nil || len(s) > maxDigits || exponent < -maxExponent || exponent > maxExponent {
		return badRequest("attributes contains a number that is out of range.")
	}
	return nil
}
