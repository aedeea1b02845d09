package natsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

// cloudEvent is the structured JSON form of CloudEvents 1.0.
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

// encode makes the message of an event. reduced says why its data must be cut
// down; empty: it need not be. A reduced event can always be encoded.
func encode(e messages.Event, reduced string) (*nats.Msg, error) {
	data, err := dataOf(e, reduced)
	if err != nil {
		return nil, err
	}
	kind := string(e.Type)
	if !tokens(kind) {
		if reduced == "" {
			return nil, fmt.Errorf("the type %q cannot stand in a subject", kind)
		}
		kind = unknownType
	}
	client, user := whom(e)
	body, err := json.Marshal(cloudEvent{
		SpecVersion: specVersion, ID: eventID(e), Source: source, Type: kind,
		Subject: "clients/" + client.String(), Time: timeOf(e),
		DataContentType: "application/json", Reduced: reduced, Data: data,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	msg := nats.NewMsg(SubjectPrefix + kind + "." + client.String() + "." + user.String())
	msg.Header.Set(jetstream.MsgIDHeader, eventID(e))
	msg.Header.Set(jetstream.ExpectedStreamHeader, StreamName)
	msg.Header.Set("Content-Type", contentType)
	msg.Data = body
	return msg, nil
}

func dataOf(e messages.Event, reduced string) (json.RawMessage, error) {
	if reduced != "" {
		e = reduce(e)
	}
	e.At, e.Call.StartedAt, e.Call.LeaseExpiresAt = e.At.UTC(), e.Call.StartedAt.UTC(), e.Call.LeaseExpiresAt.UTC()
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	return data, nil
}

// reduce leaves what says which call began or ended, and drops what is long or
// cannot be encoded.
func reduce(e messages.Event) messages.Event {
	client, user := whom(e)
	call := e.Call
	call.ClientID, call.UserID = client, user
	call.StartedAt, call.LeaseExpiresAt = encodable(call.StartedAt), encodable(call.LeaseExpiresAt)
	reduced := messages.Event{
		ID: eventID(e), Type: e.Type, At: encodable(e.At), Call: call,
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
	if _, err := t.MarshalJSON(); err != nil {
		return time.Time{}
	}
	return t
}

func timeOf(e messages.Event) string {
	at := encodable(e.At)
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// whom returns the client and the user of an event.
func whom(e messages.Event) (messages.ClientID, messages.UserID) {
	client, user := e.Call.ClientID, e.Call.UserID
	if client.IsZero() {
		client = e.Client.ID
	}
	if user.IsZero() {
		user = e.User.ID
	}
	return client, user
}

func eventID(e messages.Event) string {
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
