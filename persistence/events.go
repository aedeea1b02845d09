package persistence

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

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
