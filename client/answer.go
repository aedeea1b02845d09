package client

import (
	"encoding/json"
	"strings"
)

// maxKey is the longest idempotency key, in bytes.
const maxKey = 255

// What says "200" need not be dibs: a proxy, a page to sign in, another program
// at this address. So an answer counts only if it says what was asked for. Who
// believed in a call that is not there would dial all the same.

// granted reads the call that a start or a renewal answers with.
func granted(body []byte, asked change) (Call, error) {
	var out struct{ Call Call }
	if err := decode(body, &out); err != nil {
		return Call{}, err
	}
	call := out.Call
	switch {
	case call.ID == "" || call.Token < 1 || call.UserID == "" || call.ClientID == "":
		return Call{}, strange("It names no call.")
	case differs(asked.UserID, call.UserID), differs(asked.ClientID, call.ClientID),
		differs(asked.CallID, call.ID), asked.Token != 0 && asked.Token != call.Token:
		return Call{}, strange("It is about another call.")
	}
	return call, nil
}

// differs compares ids; one that was not asked for may be any.
func differs(asked, got string) bool { return asked != "" && !strings.EqualFold(asked, got) }

// ended reads the answer to an end.
func ended(body []byte) error {
	var out struct{ User struct{ ID string } }
	if err := decode(body, &out); err != nil {
		return err
	}
	if out.User.ID == "" {
		return strange("It names no user.")
	}
	return nil
}

func available(body []byte) (Availability, error) {
	var out struct {
		Available *bool
		Caller    *Caller
	}
	if err := decode(body, &out); err != nil {
		return Availability{}, err
	}
	if out.Available == nil {
		return Availability{}, strange("It does not say whether the client is available.")
	}
	return Availability{*out.Available, out.Caller}, nil
}

func decode(body []byte, out any) error {
	if err := json.Unmarshal(body, out); err != nil {
		return &Error{Code: CodeInternal, Sentence: "The answer cannot be understood.", cause: err}
	}
	return nil
}

// strange is an answer that is not one to what was asked.
func strange(why string) *Error {
	return &Error{Code: CodeInternal, Sentence: "This is not an answer of dibs. " + why}
}

// printable reports whether s is printable ASCII throughout.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
