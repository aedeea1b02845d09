package messages

import "time"

// EventType says what happened. It is the CloudEvents type.
type EventType string

const (
	EventCallStarted EventType = "call.started"
	EventCallEnded   EventType = "call.ended"
	// EventCallRefused answers a service that reported a call which somebody
	// else's stands in the way of. It is published for those services alone.
	EventCallRefused EventType = "call.refused"
)

// Event is something that was committed and that everybody may know: the data
// of a CloudEvent, and the payload of live events. It says all that a reader
// needs, so that nobody has to ask the store.
type Event struct {
	// ID is the same whenever the event is published again: the call's id and
	// what happened to it, which happens once.
	ID   string    `json:"id"`
	Type EventType `json:"type"`
	At   time.Time `json:"at"` // by the store's clock

	Call   Call          `json:"call"`
	User   User          `json:"user"`
	Client ClientSummary `json:"client"`

	Reason      EndReason `json:"reason,omitempty"`      // call.ended
	Disposition string    `json:"disposition,omitempty"` // call.ended

	// Refusal, with call.refused: why. Call is then the one that was not begun:
	// it has neither token nor times.
	Refusal *Refusal `json:"refusal,omitempty"`
}

// EventID is the id of an event of a call.
func EventID(call CallID, t EventType) string {
	id, _ := call.MarshalText() // never fails; String would allocate a text only to be copied from
	return string(id) + "/" + string(t)
}

// Live calls and what readers of live events are sent.

// LiveCall is a call in progress as a snapshot shows it.
type LiveCall struct {
	Call   Call          `json:"call"`
	User   User          `json:"user"`
	Client ClientSummary `json:"client"`
}

// Snapshot is all calls in progress, the first thing that a reader of live
// events is sent. Stale says that the server may have missed what happened
// since: it cannot hear of what other nodes do right now.
type Snapshot struct {
	Calls []LiveCall `json:"calls"`
	Stale bool       `json:"stale"`
}

// OutboxRow is events of one committed batch, written in its transaction and kept
// until they are published (I7). Rows of the same client come in the order of their
// ids.
type OutboxRow struct {
	ID     int64
	Events []Event
	// Unreadable says why Events are not all that the row holds; nil: they are.
	Unreadable error
}
