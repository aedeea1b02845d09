package client

import (
	"context"
	"errors"
	"iter"
	"time"
)

// EventType says what happened.
type EventType string

const (
	// CallStarted: a call has begun.
	CallStarted EventType = "call.started"
	// CallEnded: it is over; Reason says why.
	CallEnded EventType = "call.ended"
	// CallChanged: it goes on, and the client has another name or number now.
	// Over HTTP only.
	CallChanged EventType = "call.changed"
	// CallRefused answers a service that reported a call over NATS which another
	// one stands in the way of: hang up. Over NATS only.
	CallRefused EventType = "call.refused"
	// Snapshot: Calls is all calls in progress. What was known before is
	// forgotten. It comes first, and whenever events were missed, or may have been.
	Snapshot EventType = "snapshot"
	// Missed comes in place of a snapshot over NATS where we may not ask for one
	// (dibs.rpc.status): what was known before is worth nothing. Ask for what
	// matters with [Client.Availability].
	Missed EventType = "missed"
	// Stale: from now on events may come late (Event.Stale), or no longer.
	Stale EventType = "stale"
)

// Event is what [Client.Watch] brings.
type Event struct {
	Type EventType
	// Position is where the stream stands behind this event, for [After].
	// Empty: nowhere that one could go on from.
	Position string

	// Of a call.
	At          time.Time // by the server's clock
	Call        Call
	User        User
	Client      Contact
	Reason      string // CallEnded: completed, log_saved, force_released, expired, superseded
	Disposition string // CallEnded
	// Refusal, with CallRefused: why. Call is then the one that was not begun.
	Refusal *Refusal

	Calls []CallInProgress // Snapshot
	Stale bool             // Stale, Snapshot
}

// CallInProgress is a call of a snapshot.
type CallInProgress struct {
	Call   Call    `json:"call"`
	User   User    `json:"user"`
	Client Contact `json:"client"`
}

// Refusal is why a call that was reported was not begun.
type Refusal struct {
	Code    Code    `json:"code"`     // CodeClientBeingCalled, CodeUserOnCall
	Source  string  `json:"source"`   // of the event that reported it
	EventID string  `json:"id"`       // of that event
	CallRef string  `json:"call_ref"` // how that event names the call
	Caller  *Caller `json:"caller"`   // with CodeClientBeingCalled: who is calling
	Call    *Call   `json:"call"`     // with CodeUserOnCall: what the user is on
}

// eventData is the payload of an event on every transport.
type eventData struct {
	Type        EventType `json:"type"`
	At          time.Time `json:"at"`
	Call        Call      `json:"call"`
	User        User      `json:"user"`
	Client      Contact   `json:"client"`
	Reason      string    `json:"reason"`
	Disposition string    `json:"disposition"`
	Refusal     *Refusal  `json:"refusal"`

	Calls []CallInProgress `json:"calls"`
	Stale bool             `json:"stale"`
}

func (d eventData) event(kind EventType, position string) Event {
	return Event{Type: kind, Position: position, At: d.At, Call: d.Call, User: d.User, Client: d.Client,
		Reason: d.Reason, Disposition: d.Disposition, Refusal: d.Refusal, Calls: d.Calls, Stale: d.Stale}
}

// WatchOption is an option of [Client.Watch].
type WatchOption func(*watchOptions)

type watchOptions struct{ after string }

// After goes on behind [Event.Position] of an event that was brought before, by
// this or another process, over the same transport. If that cannot be done without
// missing something, the first event is a [Snapshot].
func After(position string) WatchOption { return func(o *watchOptions) { o.after = position } }

// Watch brings who begins and ends calls, as it happens, at least once and in
// order for one client. It begins with a [Snapshot].
//
// It connects again by itself and goes on where it was, if that is certain to miss
// nothing, and else with a snapshot: the events are not there any more, or the
// server, or the stream, is another one. While it cannot, it says [Stale] once.
// Over NATS, what comes behind a snapshot may be older than it: the end of a call
// that the snapshot does not have, a start of one that it has, or both. Who
// applies them by [Call.ID] arrives at what is true. Refusals ([CallRefused]) are
// in no snapshot.
//
// The sequence ends when ctx does, or with an error that trying again would not
// cure: [CodeUnauthenticated], [CodeForbidden], and before anything was ever
// followed [CodeNotFound]. Later that is a server that is being replaced, and so is
// [CodeInternal] at any time.
//
//	for event, err := range dibs.Watch(ctx) {
//		if err != nil {
//			return err
//		}
//		…
//	}
func (c *Client) Watch(ctx context.Context, opts ...WatchOption) iter.Seq2[Event, error] {
	var o watchOptions
	for _, opt := range opts {
		opt(&o)
	}
	return func(yield func(Event, error) bool) {
		w := &watch{after: o.after, yield: yield}
		for failures := 0; ; failures++ {
			err := c.via.watch(ctx, w.after, w.follows, func(e Event) bool {
				failures = 0 // not before: what breaks at once is not tried at once again
				return w.take(e)
			})
			if w.stopped || ctx.Err() != nil {
				return
			}
			e := asError(err)
			if !w.worthwhile(e) {
				yield(Event{}, e)
				return
			}
			if !w.tell(true) || !sleepUntil(ctx, time.Now().Add(e.retryAfter+backoff(failures))) {
				return
			}
		}
	}
}

// watch is one sequence of events. It belongs to the goroutine that reads it.
type watch struct {
	after    string
	yield    func(Event, error) bool
	followed bool // there was a stream once
	stale    bool // we said so
	stopped  bool // the reader has enough
}

// follows notes that there is a connection again, and where it begins.
func (w *watch) follows(position string) bool {
	w.followed = true
	if position != "" {
		w.after = position
	}
	return w.tell(false)
}

// worthwhile reports whether to try again.
func (w *watch) worthwhile(e *Error) bool {
	switch {
	case e.final:
		return false
	case e.Code == CodeNotFound:
		return w.followed
	}
	return e.Code == CodeInternal || e.temporary()
}

// tell says that the connection is gone, or that it is back.
func (w *watch) tell(stale bool) bool {
	if w.stale == stale {
		return !w.stopped
	}
	w.stale = stale
	return w.take(Event{Type: Stale, Stale: stale})
}

func (w *watch) take(e Event) bool {
	if w.stopped {
		return false
	}
	if e.Position != "" {
		w.after = e.Position
	}
	w.stopped = !w.yield(e, nil)
	return !w.stopped
}

var errEnough = errors.New("the reader has enough")
