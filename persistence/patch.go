package persistence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/dibs-calls/dibs/messages"
)

// Patched returns the client as the patch leaves it. Attributes that a patch
// merges without changing any stay as they are, to the letter. Errors:
// CodeBadRequest for attributes that are no JSON object, and for a merge that
// would make them larger than [messages.MaxAttributes].
func Patched(c messages.Client, p messages.ClientPatch) (messages.Client, error) {
	for _, field := range []struct {
		of *string
		to *string
	}{{&c.Name, p.Name}, {&c.Phone, p.Phone}, {&c.Email, p.Email}, {&c.Notes, p.Notes}} {
		if field.to != nil {
			*field.of = *field.to
		}
	}
	switch {
	case p.Attributes == nil:
		return c, nil
	case !p.Merge:
		c.Attributes = p.Attributes
		return c, nil
	}
	var err error
	c.Attributes, err = mergeAttributes(c.Attributes, p.Attributes)
	return c, err
}

// mergeAttributes puts the keys of one object into another.
func mergeAttributes(old, with json.RawMessage) (json.RawMessage, error) {
	merged, err := keysOf(old)
	if err != nil {
		return nil, err
	}
	changes, err := keysOf(with)
	if err != nil {
		return nil, err
	}
	changed := false
	for key, value := range changes {
		if before, ok := merged[key]; !ok || !sameJSON(before, value) {
			merged[key], changed = value, true
		}
	}
	if !changed {
		return old, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(merged); err != nil {
		return nil, fmt.Errorf("encode attributes: %w", err)
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
	if len(text) > messages.MaxAttributes {
		return nil, &messages.Error{Code: messages.CodeBadRequest, Sentence: fmt.Sprintf(
			"The client's attributes would have more than %d bytes.", messages.MaxAttributes)}
	}
	return text, nil
}

// keysOf parts an object into its keys. What was nothing has none.
func keysOf(object json.RawMessage) (map[string]json.RawMessage, error) {
	keys := make(map[string]json.RawMessage)
	if len(bytes.TrimSpace(object)) == 0 {
		return keys, nil
	}
	if err := json.Unmarshal(object, &keys); err != nil || keys == nil {
		return nil, &messages.Error{Code: messages.CodeBadRequest, Sentence: "Attributes must be a JSON object.", Cause: err}
	}
	return keys, nil
}

// sameJSON reports whether two values mean the same.
func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	return reflect.DeepEqual(meaning(a), meaning(b))
}

func meaning(text json.RawMessage) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	_ = d.Decode(&v) // it was part of an object that could be read
	return v
}
