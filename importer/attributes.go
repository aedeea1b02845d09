package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// attributes keeps what has no field of its own: unknown columns, and those
// known columns from which another one was preferred.
func (c *Clients) attributes(cells []string, used ...int) json.RawMessage {
	a := []byte{'{'}
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		if cell == "" || c.spent[i] || slices.Contains(used, i) {
			continue
		}
		if len(a) > 1 {
			a = append(a, ',')
		}
		a = append(append(append(a, c.keys[i]...), ':'), jsonText(lineFeeds(cell))...)
	}
	return append(a, '}')
}

// ownAttributes reads the attributes of dibs' own export and writes them anew,
// together with what was to be an e-mail address, unless that is empty. JSON can be
// right and still be more than a database keeps.
func ownAttributes(s, email string) (raw json.RawMessage, reason string) {
	if s == "" {
		s = "{}"
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil || object == nil || d.More() {
		return nil, "attributes is not a JSON object"
	}
	if !storable(object, 1) {
		return nil, "attributes contains what cannot be stored: a NUL character, a number out of range, or too deep a nesting"
	}
	if email != "" {
		name := "email"
		for n := 2; object[name] != nil && object[name] != email; n++ {
			name = fmt.Sprintf("email (%d)", n)
		}
		object[name] = email
	}
	return jsonText(object), ""
}

func storable(v any, depth int) bool {
	const maxDepth, maxDigits = 32, 100
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if strings.ContainsRune(key, 0) || !storable(value, depth+1) {
				return false
			}
		}
	case []any:
		for _, value := range v {
			if !storable(value, depth+1) {
				return false
			}
		}
	case string:
		return !strings.ContainsRune(v, 0)
	case json.Number:
		_, err := v.Float64()
		return err == nil && len(v) <= maxDigits
	}
	return depth <= maxDepth
}

// attributeKeys returns the JSON keys under which columns are kept. Two columns
// of one name, and those without any, get one of their own.
func attributeKeys(header []string) [][]byte {
	keys := make([][]byte, len(header))
	taken := make(map[string]bool)
	for i, h := range header {
		name := h
		if name == "" {
			name = fmt.Sprintf("column %d", i+1)
		}
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s (%d)", h, n)
		}
		taken[name] = true
		keys[i] = jsonText(name)
	}
	return keys
}

// jsonText is a value as JSON, without the escapes that only HTML needs.
func jsonText(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings and what was JSON before always have a JSON form
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

// lineFeeds makes every line break in a cell a line feed.
func lineFeeds(s string) string {
	if !strings.Contains(s, "\r") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}
