package natsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/internal/eventjson"
	"github.com/dibs-calls/dibs/messages"
)

const (
	specVersion = "1.0"
	// source and id together are unique among all CloudEvents in the world's
	// eyes; ids are made of random UUIDs, so the source need not be.
	source = "/dibs"
	// contentType marks the structured mode (CloudEvents NATS binding, 3.1.3).
	contentType = "application/cloudevents+json"
	// unknownType stands in the subject for a type that cannot stand there.
	unknownType = "call.unknown"
)

// cloudEvent is the structured JSON form of CloudEvents 1.0. It is read by it, and
// written field by field, in the same order ([encoder]).
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Subject         string          `json:"subject"`
	Time            string          `json:"time,omitempty"`
	DataContentType string          `json:"datacontenttype"`
	Reduced         string          `json:"dibsreduced,omitempty"` // why data is not all of it
	Data            json.RawMessage `json:"data"`
}

// encoder makes the messages of events. A message, with its header and its data, holds
// until the next one is made: the publisher sends some ten thousand a second, and each
// is copied as it is sent.
type encoder struct {
	msg     nats.Msg
	id      []string // the value of the header that differs
	subject []byte
}

func newEncoder() *encoder {
	c := &encoder{id: []string{""}}
	c.msg.Header = nats.Header{
		jetstream.MsgIDHeader:          c.id,
		jetstream.ExpectedStreamHeader: {StreamName},
		"Content-Type":                 {contentType},
	}
	return c
}

// encode makes the message of an event. reduced says why its data must be cut
// down; empty: it need not be. A reduced event can always be encoded.
func (c *encoder) encode(e *messages.Event, reduced string) (*nats.Msg, error) {
	kind := string(e.Type)
	if !tokens(kind) {
		if reduced == "" {
			return nil, fmt.Errorf("the type %q cannot stand in a subject", kind)
		}
		kind = unknownType
	}
	id := eventID(e)
	client, user := whom(e)
	b := c.msg.Data[:0]
	b = append(b, `{"specversion":"`+specVersion+`","id":`...)
	b = eventjson.AppendString(b, id)
	b = append(b, `,"source":"`+source+`","type":"`...)
	b = append(b, kind...)
	b = append(b, `","subject":"clients/`...)
	b = eventjson.AppendID(b, client.UUID)
	b = append(b, '"')
	b = appendTimeOf(b, e)
	b = append(b, `,"datacontenttype":"application/json"`...)
	if reduced != "" {
		b = append(b, `,"dibsreduced":`...)
		b = eventjson.AppendString(b, reduced)
	}
	b, err := appendData(append(b, `,"data":`...), e, reduced)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	b = append(b, '}')
	c.id[0], c.msg.Data = id, b
	c.subject = append(append(append(c.subject[:0], SubjectPrefix...), kind...), '.')
	c.subject = append(eventjson.AppendID(c.subject, client.UUID), '.')
	c.subject = eventjson.AppendID(c.subject, user.UUID)
	c.msg.Subject = string(c.subject)
	return &c.msg, nil
}

func appendData(b []byte, e *messages.Event, reduced string) ([]byte, error) {
	data := *e
	if reduced != "" {
		data = reduce(data)
	}
	data.At, data.Call.StartedAt, data.Call.LeaseExpiresAt = data.At.UTC(), data.Call.StartedAt.UTC(), data.Call.LeaseExpiresAt.UTC()
	return eventjson.Append(b, &data)
}

// reduce leaves what says which call began or ended, and drops what is long or
// cannot be encoded.
func reduce(e messages.Event) messages.Event {
	client, user := whom(&e)
	call := e.Call
	call.ClientID, call.UserID = client, user
	call.StartedAt, call.LeaseExpiresAt = encodable(call.StartedAt), encodable(call.LeaseExpiresAt)
	reduced := messages.Event{
		ID: eventID(&e), Type: e.Type, At: encodable(e.At), Call: call,
		User: messages.User{ID: user}, Client: messages.ClientSummary{ID: client},
	}
	if tokens(string(e.Reason)) {
		reduced.Reason = e.Reason
	}
	if r := e.Refusal; r != nil { // its names are short: they were checked when they came
		reduced.Refusal = &messages.Refusal{Code: r.Code, Source: r.Source, ID: r.ID, CallRef: r.CallRef}
	}
	if !tokens(string(e.Type)) {
		reduced.Type = unknownType
	}
	return reduced
}

// encodable is t, or the zero time where JSON has no form for it.
func encodable(t time.Time) time.Time {
	if _, err := t.AppendText(make([]byte, 0, len(time.RFC3339Nano))); err != nil {
		return time.Time{}
	}
	return t
}

// appendTimeOf leaves the attribute out where there is no time that JSON has a form
// for.
func appendTimeOf(b []byte, e *messages.Event) []byte {
	at := encodable(e.At)
	if at.IsZero() {
		return b
	}
	b = at.UTC().AppendFormat(append(b, `,"time":"`...), time.RFC3339Nano)
	return append(b, '"')
}

// whom returns the client and the user of an event.
func whom(e *messages.Event) (messages.ClientID, messages.UserID) {
	client, user := e.Call.ClientID, e.Call.UserID
	if client.IsZero() {
		client = e.Client.ID
	}
	if user.IsZero() {
		user = e.User.ID
	}
	return client, user
}

func eventID(e *messages.Event) string {
	if e.ID == "" || len(e.ID) > 200 || strings.ContainsAny(e.ID, "\r\n") {
		return messages.EventID(e.Call.ID, e.Type)
	}
	return e.ID
}

// tokens reports whether s can stand in a subject: short words of small letters
// and underscores with dots in between.
func tokens(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_.") == ""
}

// decode reads the event that encode wrote.
func decode(body []byte) (messages.Event, error) {
	var envelope cloudEvent
	if err := json.Unmarshal(body, &envelope); err != nil {
		return messages.Event{}, fmt.Errorf("decoding an event: %w", err)
	}
	if envelope.SpecVersion != specVersion {
		return messages.Event{}, fmt.Errorf("decoding an event: CloudEvents version %q is not known", envelope.SpecVersion)
	}
	var e messages.Event
	if err := json.Unmarshal(envelope.Data, &e); err != nil {
		return messages.Event{}, fmt.Errorf("decoding an event: %w", err)
	}
	if e.ID == "" || e.Call.ID.IsZero() {
		return messages.Event{}, errors.New("decoding an event: it does not say which call it is about")
	}
	return e, nil
}
