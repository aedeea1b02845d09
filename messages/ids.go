package messages

import (
	"fmt"

	"github.com/google/uuid"
)

// UserID names a person who makes calls.
type UserID struct{ uuid.UUID }

// ClientID names somebody who is called.
type ClientID struct{ uuid.UUID }

// CallID names one call, from its claim to its end and ever after.
type CallID struct{ uuid.UUID }

// LogID names a saved call log.
type LogID struct{ uuid.UUID }

// IsZero reports whether no user is named.
func (id UserID) IsZero() bool { return id.UUID == uuid.Nil }

// IsZero reports whether no client is named.
func (id ClientID) IsZero() bool { return id.UUID == uuid.Nil }

// IsZero reports whether no call is named.
func (id CallID) IsZero() bool { return id.UUID == uuid.Nil }

// IsZero reports whether no log is named.
func (id LogID) IsZero() bool { return id.UUID == uuid.Nil }

// ParseID reads the canonical form of a UUID (36 characters, hyphens, any
// case). The looser spellings that package uuid accepts (braces, urn:) are
// refused, because a front-end that sends them is confused.
func ParseID(s string) (uuid.UUID, error) {
	if len(s) != 36 {
		return uuid.Nil, fmt.Errorf("%q is not a UUID", clip(s, 40))
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil, fmt.Errorf("%q is not a UUID", clip(s, 40))
	}
	return id, nil
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
