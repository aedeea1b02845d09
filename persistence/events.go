package persistence

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// storedEvent is an event as it stands in the outbox: what does not follow from
// the rest, times in microseconds since 1970. Old rows are read by new programs
// and the other way round while nodes are updated, so a field may be added, and
// none may change its name or its meaning.
type storedEvent struct {
	Type        messages.EventType `json:"t"`
	At          int64              `json:"at"`
	Call        messages.CallID    `json:"call"`
	Token       int64              `json:"token"`
	StartedAt   int64              `json:"start"`
	LeaseEndsAt int64              `json:"lease"`
	User        messages.UserID    `json:"user"`
	FirstName   string             `json:"first"`
	LastName    string             `json:"last"`
	Email       string             `json:"mail"`
	Role        messages.Role      `json:"role"`
	Client      messages.ClientID  `json:"client"`
	ClientName  string             `json:"name"`
	ClientPhone string             `json:"phone"`
	ClientEmail string             `json:"cmail"`
	Reason      messages.EndReason `json:"reason"`
	Disposition string             `json:"disp"`
}

// EncodeEvents returns the events of a batch as they stand in the outbox, or
// nil if there are none: a JSON array, ends before starts, which is the order in
// which they took effect. It runs inside the transaction, while its locks are
// held, for hundreds of events; hence no reflection.
func EncodeEvents(outcomes []messages.Outcome) []byte {
	var b []byte
	for _, t := range [...]messages.EventType{messages.EventCallEnded, messages.EventCallStarted} {
		for i := range outcomes {
			e := outcomes[i].Event
			if e == nil || e.Type != t {
				continue
			}
			if b == nil {
				const usual = 400 // bytes an event
				b = append(make([]byte, 0, usual*(len(outcomes)-i)), '[')
			} else {
				b = append(b, ',')
			}
			b = appendEvent(b, e)
		}
	}
	if b == nil {
		return nil
	}
	return append(b, ']')
}

func appendEvent(b []byte, e *messages.Event) []byte {
	b = appendText(append(b, `{"t":`...), string(e.Type))
	b = strconv.AppendInt(append(b, `,"at":`...), e.At.UnixMicro(), 10)
	b = appendID(append(b, `,"call":`...), e.Call.ID.UUID)
	b = strconv.AppendInt(append(b, `,"token":`...), e.Call.Token, 10)
	b = strconv.AppendInt(append(b, `,"start":`...), e.Call.StartedAt.UnixMicro(), 10)
	b = strconv.AppendInt(append(b, `,"lease":`...), e.Call.LeaseExpiresAt.UnixMicro(), 10)
	b = appendID(append(b, `,"user":`...), e.Call.UserID.UUID)
	b = appendID(append(b, `,"client":`...), e.Call.ClientID.UUID)
	for _, field := range [...]struct{ key, value string }{
		{`,"first":`, e.User.FirstName},
		{`,"last":`, e.User.LastName},
		{`,"mail":`, e.User.Email},
		{`,"role":`, string(e.User.Role)},
		{`,"name":`, e.Client.Name},
		{`,"phone":`, e.Client.Phone},
		{`,"cmail":`, e.Client.Email},
		{`,"reason":`, string(e.Reason)},
		{`,"disp":`, e.Disposition},
	} {
		if field.value != "" {
			b = appendText(append(b, field.key...), field.value)
		}
	}
	return append(b, '}')
}

func appendID(b []byte, id uuid.UUID) []byte {
	b = hex.AppendEncode(append(b, '"'), id[:4])
	b = hex.AppendEncode(append(b, '-'), id[4:6])
	b = hex.AppendEncode(append(b, '-'), id[6:8])
	b = hex.AppendEncode(append(b, '-'), id[8:10])
	b = hex.AppendEncode(append(b, '-'), id[10:])
	return append(b, '"')
}

// appendText appends a JSON string.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic("a string is always JSON: " + err.Error())
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// DecodeEvents reads what [EncodeEvents] wrote. What is none of it is
// [messages.CodeInternal].
func DecodeEvents(b []byte) ([]messages.Event, error) {
	var stored []storedEvent
	if err := json.Unmarshal(b, &stored); err != nil {
		return nil, &messages.Error{Code: messages.CodeInternal, Cause: fmt.Errorf("events in the outbox: %w", err)}
	}
	events := make([]messages.Event, len(stored))
	for i := range stored {
		events[i] = stored[i].event()
	}
	return events, nil
}

func (s *storedEvent) event() messages.Event {
	return messages.Event{
		ID: messages.EventID(s.Call, s.Type), Type: s.Type, At: fromMicros(s.At),
		Call: messages.Call{
			ID: s.Call, ClientID: s.Client, UserID: s.User,
			StartedAt: fromMicros(s.StartedAt), LeaseExpiresAt: fromMicros(s.LeaseEndsAt), Token: s.Token,
		},
		User:   messages.User{ID: s.User, FirstName: s.FirstName, LastName: s.LastName, Email: s.Email, Role: s.Role},
		Client: messages.ClientSummary{ID: s.Client, Name: s.ClientName, Phone: s.ClientPhone, Email: s.ClientEmail},
		Reason: s.Reason, Disposition: s.Disposition,
	}
}

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// StartedEvent is the event of a claim that was made.
func StartedEvent(l messages.LiveCall) *messages.Event {
	return eventOf(l, messages.EventCallStarted, l.Call.StartedAt)
}

// EndedEvent is the event of a release that ended a call at the time given.
func EndedEvent(l messages.LiveCall, at time.Time, w *messages.Write) *messages.Event {
	e := eventOf(l, messages.EventCallEnded, at)
	e.Reason, e.Disposition = w.Reason, w.Disposition
	return e
}

func eventOf(l messages.LiveCall, t messages.EventType, at time.Time) *messages.Event {
	return &messages.Event{
		ID: messages.EventID(l.Call.ID, t), Type: t, At: at, Call: l.Call, User: l.User, Client: l.Client,
	}
}
