package wire

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/dibs-calls/dibs/internal/eventjson"
	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// appender is an answer that writes itself, byte by byte what encoding/json makes
// of it (a test compares them). Those of which a fleet gets thousands a second do:
// it takes a fifth of the time, and no memory of its own.
type appender interface {
	AppendJSON(b []byte) ([]byte, error)
}

// AppendJSON encodes v behind b. v is what [json.Marshal] takes.
func AppendJSON(b []byte, v any) ([]byte, error) {
	if a, ok := v.(appender); ok {
		return a.AppendJSON(b)
	}
	text, err := json.Marshal(v)
	return append(b, text...), err
}

// AppendJSON encodes the answer behind b.
func (a *StartAnswer) AppendJSON(b []byte) ([]byte, error) {
	w := jsonWriter{b: b}
	w.raw(`{"user":`)
	w.callingUser(&a.User)
	w.raw(`,"call":`)
	w.call(a.Call)
	w.raw(`,"message":`)
	w.text(a.Message)
	w.raw(`}`)
	return w.b, w.err
}

// AppendJSON encodes the answer behind b.
func (a *EndAnswer) AppendJSON(b []byte) ([]byte, error) {
	w := jsonWriter{b: b}
	w.raw(`{"user":`)
	w.callingUser(&a.User)
	if a.Ended != nil {
		w.raw(`,"ended":`)
		w.call(a.Ended)
	}
	w.raw(`,"message":`)
	w.text(a.Message)
	w.raw(`}`)
	return w.b, w.err
}

// AppendJSON encodes the answer behind b.
func (a *RenewAnswer) AppendJSON(b []byte) ([]byte, error) {
	w := jsonWriter{b: b}
	w.raw(`{"call":`)
	w.call(a.Call)
	w.raw(`,"lease_expires_at":`)
	w.time(&a.LeaseExpiresAt)
	w.raw(`,"message":`)
	w.text(a.Message)
	w.raw(`}`)
	return w.b, w.err
}

// AppendJSON encodes the answer behind b.
func (a *AvailabilityAnswer) AppendJSON(b []byte) ([]byte, error) {
	w := jsonWriter{b: b}
	w.raw(`{"available":`)
	w.bool(a.Available)
	w.raw(`,"caller":`)
	w.caller(a.Caller)
	w.raw(`}`)
	return w.b, w.err
}

// AppendJSON encodes the answer behind b.
func (p *Body) AppendJSON(b []byte) ([]byte, error) {
	w := jsonWriter{b: b}
	w.raw(`{"error":`)
	w.text(p.Error)
	w.raw(`,"code":`)
	w.text(string(p.Code))
	if p.Call != nil {
		w.raw(`,"call":`)
		w.call(p.Call)
	}
	if p.Caller != nil {
		w.raw(`,"caller":`)
		w.caller(p.Caller)
	}
	w.raw(`}`)
	return w.b, w.err
}

// jsonWriter collects an answer. After an error the rest does not matter.
type jsonWriter struct {
	b   []byte
	err error
}

func (w *jsonWriter) callingUser(u *CallingUser) {
	w.raw(`{"id":`)
	w.id(u.ID.UUID)
	w.raw(`,"first_name":`)
	w.text(u.FirstName)
	w.raw(`,"last_name":`)
	w.text(u.LastName)
	w.raw(`,"email":`)
	w.text(u.Email)
	w.raw(`,"role":`)
	w.text(string(u.Role))
	w.raw(`,"is_on_call":`)
	w.bool(u.IsOnCall)
	w.raw(`,"current_call_client_id":`)
	if u.CurrentCallClientID == nil {
		w.raw(`null`)
	} else {
		w.id(u.CurrentCallClientID.UUID)
	}
	w.raw(`,"call_started_at":`)
	w.time(u.CallStartedAt)
	w.raw(`}`)
}

func (w *jsonWriter) call(c *messages.Call) {
	if c == nil {
		w.raw(`null`)
		return
	}
	w.raw(`{"id":`)
	w.id(c.ID.UUID)
	w.raw(`,"client_id":`)
	w.id(c.ClientID.UUID)
	w.raw(`,"user_id":`)
	w.id(c.UserID.UUID)
	w.raw(`,"started_at":`)
	w.time(&c.StartedAt)
	w.raw(`,"lease_expires_at":`)
	w.time(&c.LeaseExpiresAt)
	w.raw(`,"token":`)
	w.b = strconv.AppendInt(w.b, c.Token, 10)
	w.raw(`}`)
}

func (w *jsonWriter) caller(c *messages.Caller) {
	if c == nil {
		w.raw(`null`)
		return
	}
	w.raw(`{"id":`)
	w.id(c.ID.UUID)
	w.raw(`,"name":`)
	w.text(c.Name)
	w.raw(`,"call_started_at":`)
	w.time(&c.CallStartedAt)
	w.raw(`}`)
}

func (w *jsonWriter) raw(s string) { w.b = append(w.b, s...) }

func (w *jsonWriter) bool(v bool) { w.b = strconv.AppendBool(w.b, v) }

// time is null for none, and an error for a year that RFC 3339 cannot write.
func (w *jsonWriter) time(t *time.Time) {
	if t == nil {
		w.raw(`null`)
		return
	}
	w.raw(`"`)
	var err error
	if w.b, err = t.AppendText(w.b); err != nil {
		w.err = err
	}
	w.raw(`"`)
}

func (w *jsonWriter) id(id uuid.UUID) {
	w.raw(`"`)
	w.b = eventjson.AppendID(w.b, id)
	w.raw(`"`)
}

func (w *jsonWriter) text(s string) { w.b = eventjson.AppendString(w.b, s) }
