package messages

import (
	"strings"
	"unicode/utf8"
)

// What people and clients may be called at most. Whatever takes a name or an address
// (the HTTP API, the importer, the command line) asks here, so that what one of them
// took the others take back.
const (
	MaxName  = 200 // characters, as JSON Schema counts
	MaxEmail = 254 // bytes (RFC 5321, with its erratum 1690)
)

// NameFits reports whether a name, in its parts, has no more than [MaxName] characters.
func NameFits(parts ...string) bool {
	n := 0
	for _, part := range parts {
		n += utf8.RuneCountInString(part)
	}
	return n <= MaxName
}

// IsEmail reports whether s may be an e-mail address. It looks lightly: only sending a
// message would prove an address right, and a false alarm would keep a true client out.
func IsEmail(s string) bool {
	name, domain, found := strings.Cut(s, "@")
	return found && name != "" && domain != "" && len(s) <= MaxEmail &&
		!strings.ContainsAny(s, " \t\r\n<>,;") && !strings.Contains(domain, "@")
}
