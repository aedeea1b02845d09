package persistence

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"
)

// Events stand in the outbox in the protobuf wire format (for others see
// eventrows.go): each is a field 1 of its
// row, and its parts are the fields below; one that has its zero value is left
// out. Times are microseconds since 1970, ids 16 bytes. Old rows are read by new
// programs and the other way round while nodes are updated: so a field may be
// added, and none may change its number or its meaning.
const (
	fieldEvent = 1 // of a row

	fieldType        = 1 // varint: eventTypes
	fieldAt          = 2 // varint
	fieldCall        = 3
	fieldUser        = 4
	fieldClient      = 5
	fieldToken       = 6 // varint
	fieldStartedAt   = 7 // varint
	fieldLeaseEndsAt = 8 // varint
	fieldFirstName   = 9
	fieldLastName    = 10
	fieldEmail       = 11
	fieldRole        = 12
	fieldClientName  = 13
	fieldClientPhone = 14
	fieldClientEmail = 15
	fieldReason      = 16
	fieldDisposition = 17
	fieldRefusal     = 18 // JSON
)

// eventTypes are the types in the order of their numbers, which begin with 1.
func eventTypes() [4]messages.EventType {
	return [...]messages.EventType{1: messages.EventCallStarted, 2: messages.EventCallEnded, 3: messages.EventCallRefused}
}

// EncodeEvents returns the events of a batch as the rows of the outbox in which
// they stand: ends before starts, which is the order in which they took effect,
// and then what was refused. A row has at most limit bytes (zero: any number)
// unless a single event is larger. It runs inside the transaction, while its
// locks are held, for hundreds of events.
func EncodeEvents(outcomes []messages.Outcome, limit int) [][]byte {
	var rows [][]byte
	var row, event []byte
	for _, t := range [...]messages.EventType{messages.EventCallEnded, messages.EventCallStarted, messages.EventCallRefused} {
		for i := range outcomes {
			e := outcomes[i].Event
			if e == nil || e.Type != t {
				continue
			}
			event = appendEvent(event[:0], e)
			const frame = 4 // bytes around an event of any usual size
			if limit > 0 && len(row) > 0 && len(row)+len(event)+frame > limit {
				rows, row = append(rows, row), nil
			}
			if row == nil {
				const usual = 180 // bytes an event
				size := usual * (len(outcomes) - i)
				if limit > 0 {
					size = min(size, limit)
				}
				row = make([]byte, 0, size)
			}
			row = protowire.AppendTag(row, fieldEvent, protowire.BytesType)
			row = protowire.AppendBytes(row, event)
		}
	}
	if row != nil {
		rows = append(rows, row)
	}
	return rows
}

func appendEvent(b []byte, e *messages.Event) []byte {
	types := eventTypes()
	b = appendNumber(b, fieldType, int64(slices.Index(types[:], e.Type)))
	b = appendTime(b, fieldAt, e.At)
	b = appendID(b, fieldCall, e.Call.ID.UUID)
	b = appendID(b, fieldUser, e.Call.UserID.UUID)
	b = appendID(b, fieldClient, e.Call.ClientID.UUID)
	b = appendNumber(b, fieldToken, e.Call.Token)
	b = appendTime(b, fieldStartedAt, e.Call.StartedAt)
	b = appendTime(b, fieldLeaseEndsAt, e.Call.LeaseExpiresAt)
	b = appendText(b, fieldFirstName, e.User.FirstName)
	b = appendText(b, fieldLastName, e.User.LastName)
	b = appendText(b, fieldEmail, e.User.Email)
	b = appendText(b, fieldRole, string(e.User.Role))
	b = appendText(b, fieldClientName, e.Client.Name)
	b = appendText(b, fieldClientPhone, e.Client.Phone)
	b = appendText(b, fieldClientEmail, e.Client.Email)
	b = appendText(b, fieldReason, string(e.Reason))
	b = appendText(b, fieldDisposition, e.Disposition)
	if e.Refusal != nil {
		refusal, err := json.Marshal(e.Refusal)
		if err != nil {
			panic("a refusal is always JSON: " + err.Error()) // its times are the store's
		}
		b = appendText(b, fieldRefusal, string(refusal))
	}
	return b
}

func appendNumber(b []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
}

// appendTime leaves the zero time out: a refused call has no times.
func appendTime(b []byte, field protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(t.UnixMicro()))
}

func appendID(b []byte, field protowire.Number, id uuid.UUID) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), id[:])
}

func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

// DecodeEvents reads a row of the outbox: the events that can be read, and, if that
// is not all there is, an error ([messages.CodeInternal]).
func DecodeEvents(row []byte) ([]messages.Event, error) {
	decode := decodeEvents
	if isEventRows(row) {
		decode = decodeEventRows
	}
	events, err := decode(row)
	if err == nil && len(events) == 0 {
		err = errors.New("a row without events")
	}
	if err != nil {
		err = &messages.Error{Code: messages.CodeInternal, Cause: fmt.Errorf("events in the outbox: %w", err)}
	}
	return events, err
}

// leastEvent is how many bytes an event that can be read has: its ids and its type.
const leastEvent = 56

func decodeEvents(row []byte) (events []messages.Event, unreadable error) {
	n := 0
	_ = eachField(row, func(f field) error { // what cannot be read is said below
		if f.number == fieldEvent && len(f.bytes) >= leastEvent {
			n++
		}
		return nil
	})
	events = make([]messages.Event, 0, n)
	err := eachField(row, func(f field) error {
		if f.number != fieldEvent {
			return nil
		}
		if e, err := decodeEvent(f.bytes); err == nil {
			events = append(events, e)
		} else if unreadable == nil {
			unreadable = err
		}
		return nil // others may be well
	})
	return events, errors.Join(unreadable, err)
}

// decodeEvent reads one event. Its texts are parts of one string, which is of no other
// event: who keeps one of them keeps that string, and not the whole row.
func decodeEvent(b []byte) (messages.Event, error) {
	var e messages.Event
	texts := string(b)
	err := eachField(b, func(f field) error { return f.into(&e, texts[f.at:f.at+len(f.bytes)]) })
	if err != nil {
		return e, err
	}
	if e.Type == "" || e.Call.ID.IsZero() {
		return e, errors.New("an event without type or call")
	}
	e.User.ID, e.Client.ID = e.Call.UserID, e.Call.ClientID
	e.ID = messages.EventID(e.Call.ID, e.Type)
	if e.Refusal != nil {
		e.ID = refusedID(e.Refusal)
	}
	return e, nil
}

// field is one field of a row or an event: a varint or bytes.
type field struct {
	number protowire.Number
	varint uint64
	bytes  []byte
	at     int // where bytes begin in the row or event
}

// eachField calls f for the fields of b in turn, and passes over those of kinds
// that nothing here is written in.
func eachField(b []byte, f func(field) error) error {
	size := len(b)
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		part := field{number: number}
		switch kind {
		case protowire.VarintType:
			part.varint, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			part.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if kind != protowire.VarintType && kind != protowire.BytesType {
			continue
		}
		part.at = size - len(b) - len(part.bytes) // they end where the rest begins
		if err := f(part); err != nil {
			return err
		}
	}
	return nil
}

// into puts a field of an event where it belongs. text is its bytes as a string.
func (f field) into(e *messages.Event, text string) (err error) {
	switch f.number {
	case fieldType:
		types := eventTypes()
		if f.varint == 0 || f.varint >= uint64(len(types)) {
			return fmt.Errorf("an event of type %d", f.varint)
		}
		e.Type = types[f.varint]
	case fieldAt:
		e.At = f.time()
	case fieldCall:
		e.Call.ID.UUID, err = uuid.FromBytes(f.bytes)
	case fieldUser:
		e.Call.UserID.UUID, err = uuid.FromBytes(f.bytes)
	case fieldClient:
		e.Call.ClientID.UUID, err = uuid.FromBytes(f.bytes)
	case fieldToken:
		e.Call.Token = int64(f.varint)
	case fieldStartedAt:
		e.Call.StartedAt = f.time()
	case fieldLeaseEndsAt:
		e.Call.LeaseExpiresAt = f.time()
	case fieldReason:
		e.Reason = messages.EndReason(text)
	case fieldDisposition:
		e.Disposition = text
	case fieldRefusal:
		var refusal *messages.Refusal // not e's own: e would be allocated for it
		err = json.Unmarshal(f.bytes, &refusal)
		e.Refusal = refusal
	default:
		f.intoNames(e, text)
	}
	return err
}

func (f field) intoNames(e *messages.Event, s string) {
	switch f.number {
	case fieldFirstName:
		e.User.FirstName = s
	case fieldLastName:
		e.User.LastName = s
	case fieldEmail:
		e.User.Email = s
	case fieldRole:
		e.User.Role = messages.Role(s)
	case fieldClientName:
		e.Client.Name = s
	case fieldClientPhone:
		e.Client.Phone = s
	case fieldClientEmail:
		e.Client.Email = s
	}
}

func (f field) time() time.Time { return time.UnixMicro(int64(f.varint)).UTC() }
