package storetest

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// malformed says what is wrong with an outcome whatever the test is about, or
// nothing.
func malformed(w messages.Write, o messages.Outcome) string {
	switch o.Kind {
	case messages.OutcomeDone:
		return malformedDone(w, o)
	case messages.OutcomeClientHeld:
		return malformedClientHeld(w, o)
	case messages.OutcomeUserHeld:
		if o.Call.UserID != w.User || o.Call.ID == w.Call {
			return "the call that stands in the way is not another call of the user"
		}
		return malformedCall(o.Call)
	case messages.OutcomeNotExpired:
		if o.Call.ID != w.Call || o.Call.Token != w.Token {
			return "the call is not the one named"
		}
		return malformedCall(o.Call)
	case messages.OutcomeReplayed:
		if w.Key == nil || o.Replay == nil {
			return "a replay needs a key and an answer"
		}
	case messages.OutcomeKeyReused:
		if w.Key == nil {
			return "no key, and yet reused"
		}
	case messages.OutcomeNoUser, messages.OutcomeNoClient, messages.OutcomeCallOver:
	default:
		return "a store must not return this"
	}
	return ""
}

func malformedDone(w messages.Write, o messages.Outcome) string {
	if w.Kind == messages.WriteNote {
		return ""
	}
	if o.Call.ID != w.Call || o.Call.UserID != w.User || o.Call.ClientID != w.Client {
		return "the call is not the one written"
	}
	if w.Kind == messages.WriteClaim && (o.Holder.ID != w.User || !o.Holder.CallStartedAt.Equal(o.Call.StartedAt)) {
		return "the holder of a claim that was made is its user"
	}
	return malformedCall(o.Call)
}

func malformedClientHeld(w messages.Write, o messages.Outcome) string {
	switch {
	case o.Call.ClientID != w.Client:
		return "the holder's call is of another client"
	case o.Call.UserID == w.User:
		return "I4: refused because of the user's own call"
	case o.Holder.ID != o.Call.UserID || o.Holder.Name == "":
		return "I4: the holder is not the user of the call"
	case !o.Holder.CallStartedAt.Equal(o.Call.StartedAt):
		return "the holder's call started at another time"
	}
	return malformedCall(o.Call)
}

func malformedCall(c messages.Call) string {
	switch {
	case c.IsZero() || c.UserID.IsZero() || c.ClientID.IsZero():
		return "the call lacks an id"
	case c.Token <= 0:
		return "I6: the token is not positive"
	case !storedTime(c.StartedAt) || !storedTime(c.LeaseExpiresAt):
		return "a time of the call is zero, not UTC or finer than a microsecond"
	}
	return ""
}

// storedTime reports whether t is as stores give times: set, UTC, whole
// microseconds.
func storedTime(t time.Time) bool {
	return !t.IsZero() && t.Location() == time.UTC && t.Equal(t.Truncate(time.Microsecond))
}
