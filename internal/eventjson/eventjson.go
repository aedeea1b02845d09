// Package eventjson writes events as JSON, byte for byte as encoding/json does, and
// without its reflection: every start and every end is written so at least once for
// the stream of events, and once for the readers of live events.
//
// The struct tags in package messages stay the one place that says what an event looks
// like; a test holds this package to them, and fails when a field is added there.
package eventjson

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/messages"
)

// Append appends an event. It fails, as encoding/json does, only for a time that RFC
// 3339 has no form for.
func Append(b []byte, e *messages.Event) ([]byte, error) {
	b = append(b, `{"id":`...)
	b = AppendString(b, e.ID)
	b = append(b, `,"type":`...)
	b = AppendString(b, string(e.Type))
	b = append(b, `,"at":`...)
	b, err := appendTime(b, e.At)
	if err != nil {
		return nil, err
	}
	b = append(b, `,"call":`...)
	if b, err = appendCall(b, &e.Call); err != nil {
		return nil, err
	}
	b = append(b, `,"user":`...)
	b = appendUser(b, &e.User)
	b = append(b, `,"client":`...)
	b = appendClient(b, &e.Client)
	b = appendUnlessEmpty(b, `,"reason":`, string(e.Reason))
	b = appendUnlessEmpty(b, `,"disposition":`, e.Disposition)
	if e.Refusal != nil { // rare: one for each call that a service reported in vain
		refusal, err := json.Marshal(e.Refusal)
		if err != nil {
			return nil, fmt.Errorf("a refusal as JSON: %w", err)
		}
		b = append(b, `,"refusal":`...)
		b = append(b, refusal...)
	}
	return append(b, '}'), nil
}

func appendLiveCall(b []byte, c *messages.LiveCall) ([]byte, error) {
	b = append(b, `{"call":`...)
	b, err := appendCall(b, &c.Call)
	if err != nil {
		return nil, err
	}
	b = append(b, `,"user":`...)
	b = appendUser(b, &c.User)
	b = append(b, `,"client":`...)
	b = appendClient(b, &c.Client)
	return append(b, '}'), nil
}

// AppendSnapshot appends all calls in progress.
func AppendSnapshot(b []byte, s *messages.Snapshot) ([]byte, error) {
	if s.Calls == nil {
		b = append(b, `{"calls":null`...)
	} else {
		b = append(b, `{"calls":[`...)
		for i := range s.Calls {
			if i > 0 {
				b = append(b, ',')
			}
			var err error
			if b, err = appendLiveCall(b, &s.Calls[i]); err != nil {
				return nil, err
			}
		}
		b = append(b, ']')
	}
	b = append(b, `,"stale":`...)
	return append(strconv.AppendBool(b, s.Stale), '}'), nil
}

func appendCall(b []byte, c *messages.Call) ([]byte, error) {
	b = append(b, `{"id":`...)
	b = appendID(b, c.ID.UUID)
	b = append(b, `,"client_id":`...)
	b = appendID(b, c.ClientID.UUID)
	b = append(b, `,"user_id":`...)
	b = appendID(b, c.UserID.UUID)
	b = append(b, `,"started_at":`...)
	b, err := appendTime(b, c.StartedAt)
	if err != nil {
		return nil, err
	}
	b = append(b, `,"lease_expires_at":`...)
	if b, err = appendTime(b, c.LeaseExpiresAt); err != nil {
		return nil, err
	}
	b = append(b, `,"token":`...)
	return append(strconv.AppendInt(b, c.Token, 10), '}'), nil
}

func appendUser(b []byte, u *messages.User) []byte {
	b = append(b, `{"id":`...)
	b = appendID(b, u.ID.UUID)
	b = append(b, `,"first_name":`...)
	b = AppendString(b, u.FirstName)
	b = append(b, `,"last_name":`...)
	b = AppendString(b, u.LastName)
	b = append(b, `,"email":`...)
	b = AppendString(b, u.Email)
	b = append(b, `,"role":`...)
	b = AppendString(b, string(u.Role))
	return append(b, '}')
}

func appendClient(b []byte, c *messages.ClientSummary) []byte {
	b = append(b, `{"id":`...)
	b = appendID(b, c.ID.UUID)
	b = append(b, `,"name":`...)
	b = AppendString(b, c.Name)
	b = append(b, `,"phone":`...)
	b = AppendString(b, c.Phone)
	b = append(b, `,"email":`...)
	b = AppendString(b, c.Email)
	return append(b, '}')
}

func appendUnlessEmpty(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	return AppendString(append(b, key...), s)
}

// AppendString appends a text in quotes.
func AppendString(b []byte, s string) []byte {
	if plain(s) {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("a text is always JSON: " + err.Error())
	}
	return append(b, quoted...)
}

// plain reports whether s stands in JSON as it is. What is between is a matter for
// encoding/json, which also replaces what is no UTF-8.
func plain(s string) bool {
	// A bit for each character below '@' that does not stand as it is, because this loop
	// is a quarter of what it takes to write an event.
	const escaped uint64 = 1<<' ' - 1 | 1<<'"' | 1<<'<' | 1<<'>' | 1<<'&'
	ascii := true
	for i := range len(s) {
		c := s[i]
		if c < '@' && escaped>>c&1 != 0 || c == '\\' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.ValidString(s) && !strings.ContainsAny(s, "\u2028\u2029")
}

func appendID(b []byte, id uuid.UUID) []byte {
	b = append(b, '"')
	b = AppendID(b, id)
	return append(b, '"')
}

// AppendID appends an id in its canonical form, without quotes.
func AppendID(b []byte, id uuid.UUID) []byte {
	var text [36]byte
	hex.Encode(text[:8], id[:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:], id[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(b, text[:]...)
}

func appendTime(b []byte, t time.Time) ([]byte, error) {
	b, err := t.AppendText(append(b, '"'))
	if err != nil {
		return nil, fmt.Errorf("a time as JSON: %w", err)
	}
	return append(b, '"'), nil
}
