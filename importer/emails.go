package importer

import (
	"net/mail"
	"strings"

	"github.com/dibs-calls/dibs/messages"
)

// emailIn returns the first e-mail address in a cell, as [messages.IsEmail] has it;
// empty: there is none. People and their programs also write Ana <ana@example.com>,
// mailto:ana@example.com, and several.
func emailIn(cell string) string {
	cell = strings.TrimSpace(cell)
	if messages.IsEmail(cell) && !hasScheme(cell) { // nearly all
		return cell
	}
	if !strings.Contains(cell, "@") {
		return ""
	}
	if list, err := mail.ParseAddressList(cell); err == nil {
		for _, a := range list {
			if messages.IsEmail(a.Address) {
				return a.Address
			}
		}
	}
	for part := range strings.FieldsFuncSeq(cell, func(r rune) bool { return strings.ContainsRune(" \t\r\n;,<>", r) }) {
		if hasScheme(part) {
			part, _, _ = strings.Cut(part[len(scheme):], "?")
		}
		if messages.IsEmail(part) {
			return part
		}
	}
	return ""
}

const scheme = "mailto:"

func hasScheme(s string) bool {
	return len(s) >= len(scheme) && strings.EqualFold(s[:len(scheme)], scheme)
}
