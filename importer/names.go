package importer

import "strings"

// clientName makes one name of what a row has.
func clientName(c columns, cells []string) string {
	first, last := c.text(cells, fieldFirst), c.text(cells, fieldLast)
	name := join(c.text(cells, fieldName))
	switch {
	case name != "" && first != "" && !c.has(fieldLast) && !strings.Contains(name, first):
		return first + " " + name // "Name;Vorname": the name is the last name
	case name != "":
		return name
	}
	return join(first, c.text(cells, fieldMiddle), last)
}

// personName returns first and last name; a full name is parted at its last
// space.
func personName(c columns, cells []string) (first, last string) {
	first, last = c.text(cells, fieldFirst), c.text(cells, fieldLast)
	if first != "" || last != "" {
		return first, last
	}
	name := join(c.text(cells, fieldName))
	if i := strings.LastIndexByte(name, ' '); i > 0 {
		return name[:i], name[i+1:]
	}
	return name, ""
}

// join puts single spaces between words, whatever stood there before.
func join(parts ...string) string {
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}
