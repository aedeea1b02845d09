package persistence

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Reports is what events of telephony services need beside the Journal, which
// takes them as writes with a Report.
type Reports interface {
	// UsersByEmail returns the ids of those addresses that accounts have,
	// disabled ones too, under the addresses as they were given.
	UsersByEmail(ctx context.Context, emails []string) (map[string]messages.UserID, error)
	// ClientsByPhone answers each query, in their order.
	ClientsByPhone(ctx context.Context, queries []messages.PhoneQuery) ([]messages.PhoneMatch, error)
	// PruneReports forgets which events and which calls were reported longer
	// than age ago, at most limit of each, and returns how many it removed.
	// Calls that have ended are known for as long as they are kept, see Retention.
	PruneReports(ctx context.Context, age time.Duration, limit int) (int, error)
}

// RefusedEvent is the event by which the source of a report learns that its call
// was refused. l names user and client.
func RefusedEvent(l messages.LiveCall, at time.Time, w *messages.Write, a messages.Answer) *messages.Event {
	r := w.Report
	l.Call = messages.Call{ID: w.Call, UserID: w.User, ClientID: w.Client}
	l.User.ID, l.Client.ID = w.User, w.Client
	e := eventOf(l, messages.EventCallRefused, at)
	e.Refusal = &messages.Refusal{
		Code: a.Code, Source: r.Source, ID: r.ID, CallRef: r.CallRef, Caller: a.Caller, Call: a.Call,
	}
	e.ID = refusedID(e.Refusal)
	return e
}

// refusedID: a call can be refused more than once, an event only once.
func refusedID(r *messages.Refusal) string {
	key := messages.Report{Source: r.Source, ID: r.ID}.EventKey()
	return key.String() + "/" + string(messages.EventCallRefused)
}
