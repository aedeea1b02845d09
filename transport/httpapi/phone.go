package httpapi

import (
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/phone"
)

// phone brings a number to E.164, so that one telephone is one client however
// it was typed. What cannot be understood stays as it is, because it may be an
// internal extension, and somebody may know what it means.
func (a *API) phone(s string) (string, error) {
	s, err := text("phone", s, maxPhone)
	if err != nil || s == "" {
		return "", err
	}
	if number, err := phone.E164(s, a.Region); err == nil {
		return number, nil
	}
	return s, nil
}

// email takes what [messages.IsEmail] does, and nothing at all.
func email(s string) (string, error) {
	s, err := text("email", s, messages.MaxEmail)
	if err != nil || s == "" {
		return "", err
	}
	if !messages.IsEmail(s) {
		return "", badRequest("email must be an e-mail address.")
	}
	return s, nil
}
