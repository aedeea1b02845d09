package natsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/phone"
	"github.com/dibs-calls/dibs/transport/wire"
)

// Bounds of what an event may say, in bytes.
const (
	maxReport  = 64 << 10 // the message, headers included
	maxEventID = 256
	maxSource  = 512
	maxCallRef = 256
	maxEmail   = 320
	maxPhone   = 64
)

// callEvent is an event of a telephony service: what it says, and of whom it
// says it.
type callEvent struct {
	kind        messages.EventType // call.started, call.ended
	report      messages.Report
	user        messages.UserID
	email       string // instead of user
	client      messages.ClientID
	phone       string // instead of client; E.164
	lease       time.Duration
	disposition string
}

// rejection says why an event cannot be applied: a word of a closed set for
// programs, and a sentence for a person.
type rejection struct {
	reason   Reason
	sentence string
}

func (r *rejection) Error() string { return r.sentence }

func malformed(format string, args ...any) *rejection {
	return &rejection{ReasonMalformed, fmt.Sprintf(format, args...)}
}

// incoming is the structured JSON form of CloudEvents 1.0, as others write it.
// Attributes that are not named here do not matter.
type incoming struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
	DataBase64      *string         `json:"data_base64"`
}

// incomingData is the data of a call event.
type incomingData struct {
	UserID       string `json:"user_id"`
	UserEmail    string `json:"user_email"`
	ClientID     string `json:"client_id"`
	ClientPhone  string `json:"client_phone"`
	CallRef      string `json:"call_ref"`
	OccurredAt   string `json:"occurred_at"`
	LeaseSeconds *int64 `json:"lease_seconds"`
	Disposition  string `json:"disposition"`
}

// readEvent reads a message of the ingest stream. Phone numbers without a country
// are those of region.
func readEvent(subject string, header nats.Header, body []byte, region string) (callEvent, *rejection) {
	e := callEvent{kind: messages.EventType(strings.TrimPrefix(subject, ingestPrefix))}
	switch {
	case e.kind != messages.EventCallStarted && e.kind != messages.EventCallEnded:
		return e, malformed("nothing is known of the subject %q: it is %s or %s", clip(subject), IngestStarted, IngestEnded)
	case len(body) > maxReport:
		return e, malformed("the event has %d bytes: at most %d are read", len(body), maxReport)
	case header.Get("ce-specversion") != "":
		return e, malformed("the event is in binary mode: send it in structured mode, as one JSON object")
	}
	var in incoming
	if err := wire.Decode(body, &in); err != nil {
		return e, unreadable("the event", err)
	}
	if r := in.check(e.kind); r != nil {
		return e, r
	}
	var data incomingData
	if err := wire.Decode(in.Data, &data); err != nil {
		return e, unreadable("data", err)
	}
	if data.OccurredAt == "" {
		data.OccurredAt = in.Time
	}
	return e, e.take(in, data, region)
}

// check holds the attributes to CloudEvents 1.0.
func (in *incoming) check(kind messages.EventType) *rejection {
	switch {
	case in.SpecVersion != specVersion:
		return malformed("specversion is %q: it must be %q", clip(in.SpecVersion), specVersion)
	case !plain(in.ID, maxEventID):
		return malformed("id must be a text of 1 to %d bytes without control characters", maxEventID)
	case !plain(in.Source, maxSource):
		return malformed("source must be a URI reference of 1 to %d bytes", maxSource)
	case in.Type != string(kind):
		return malformed("type is %q, and the subject says %q", clip(in.Type), kind)
	case in.DataBase64 != nil:
		return malformed("data_base64 is not read: give data, as a JSON object")
	case len(in.Data) == 0 || in.Data[0] != '{':
		return malformed("data must be a JSON object")
	}
	if _, err := url.Parse(in.Source); err != nil {
		return malformed("source %q is not a URI reference", clip(in.Source))
	}
	if in.DataContentType == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(in.DataContentType)
	if err != nil || media != "application/json" && !strings.HasSuffix(media, "+json") {
		return malformed("datacontenttype is %q: data must be JSON", clip(in.DataContentType))
	}
	return nil
}

// take checks the data and remembers what it says. An id counts more than an
// address or a number beside it.
func (e *callEvent) take(in incoming, data incomingData, region string) (r *rejection) {
	if !plain(data.CallRef, maxCallRef) {
		return malformed("call_ref must be a text of 1 to %d bytes without control characters", maxCallRef)
	}
	occurredAt, err := time.Parse(time.RFC3339, data.OccurredAt)
	if err != nil || occurredAt.Year() < 1970 {
		return malformed("occurred_at is %q: it must be a time like 2026-03-04T05:06:07Z", clip(data.OccurredAt))
	}
	e.report = messages.Report{
		Source: in.Source, ID: in.ID, CallRef: data.CallRef, OccurredAt: occurredAt.UTC().Truncate(time.Microsecond),
	}
	if s := data.LeaseSeconds; s != nil {
		const least, most = int64(messages.MinLease / time.Second), int64(messages.MaxLease / time.Second)
		if *s < least || *s > most {
			return malformed("lease_seconds must be from %d to %d", least, most)
		}
		e.lease = time.Duration(*s) * time.Second
	}
	if e.disposition, err = wire.Text("disposition", data.Disposition, wire.MaxDisposition); err != nil {
		return unreadable("data", err)
	}
	if r := e.takeUser(data); r != nil {
		return r
	}
	return e.takeClient(data, region)
}

func (e *callEvent) takeUser(data incomingData) *rejection {
	switch {
	case data.UserID != "":
		id, err := wire.ParseID("user_id", data.UserID)
		if err != nil {
			return unreadable("data", err)
		}
		e.user.UUID = id
	case plain(data.UserEmail, maxEmail):
		e.email = data.UserEmail
	case data.UserEmail != "":
		return malformed("user_email %q is not an e-mail address", clip(data.UserEmail))
	default:
		return malformed("neither user_id nor user_email is given")
	}
	return nil
}

// takeClient: only a start needs its client. A call that ends has one, and one
// that never began needs none.
func (e *callEvent) takeClient(data incomingData, region string) *rejection {
	switch {
	case data.ClientID != "":
		id, err := wire.ParseID("client_id", data.ClientID)
		if err != nil {
			return unreadable("data", err)
		}
		e.client.UUID = id
	case len(data.ClientPhone) > maxPhone && e.kind == messages.EventCallStarted:
		return malformed("client_phone has %d bytes: it is no phone number", len(data.ClientPhone))
	case data.ClientPhone != "":
		number, err := phone.E164(data.ClientPhone, region)
		if err != nil && e.kind == messages.EventCallStarted {
			return malformed("client_phone: %s", err)
		}
		e.phone = number
	case e.kind == messages.EventCallStarted:
		return malformed("neither client_id nor client_phone is given")
	}
	return nil
}

// plain reports whether s is a text of 1 to most bytes without control
// characters.
func plain(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}

// unreadable takes over the sentence in which package wire says what is wrong.
func unreadable(what string, err error) *rejection {
	var problem *wire.Problem
	if errors.As(err, &problem) {
		return malformed("%s: %s", what, problem.Sentence)
	}
	return malformed("%s cannot be read", what)
}

// clip shortens what others wrote for a sentence.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
