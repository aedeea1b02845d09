package httpapi

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// phone brings a number to E.164, so that one telephone is one client however
// it was typed. What is no valid number stays as it is, because it may be an
// internal extension; so does a number with an extension, which E.164 cannot
// say.
func (a *API) phone(s string) (string, error) {
	s, err := text("phone", s, maxPhone)
	if err != nil || s == "" {
		return "", err
	}
	number, err := phonenumbers.Parse(s, a.Region)
	if err != nil || number.GetExtension() != "" || !phonenumbers.IsValidNumber(number) {
		return s, nil
	}
	return phonenumbers.Format(number, phonenumbers.E164), nil
}

// email checks lightly: only sending a message would prove an address right,
// and a false alarm would keep a true client out.
func email(s string) (string, error) {
	s, err := text("email", s, maxEmail)
	if err != nil || s == "" {
		return "", err
	}
	name, domain, found := strings.Cut(s, "@")
	if !found || name == "" || domain == "" || strings.ContainsAny(s, " \t\r\n<>,;") || strings.Contains(domain, "@") {
		return "", badRequest("email must be an e-mail address.")
	}
	return s, nil
}
