package storetest

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// malformed says what is wrong with an outcome whatever the test is about, or
// nothing.
func malformed(w messages.Write, o messages.Outcome) string {
	if fault := malformedEvent(w, o); fault != "" {
		return fault
	}
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
		if w.Key == nil && w.Report == nil || o.Replay == nil {
			return "a replay needs a key or a report, and an answer"
		}
	case messages.OutcomeNotSuperseded:
		if w.Report == nil || w.Reason != messages.ReasonSuperseded && !w.Adopts || o.Call.ID != w.Call {
			return "not the call that was to be superseded, or to be the one reported"
		}
		return malformedCall(o.Call)
	case messages.OutcomeCallGone, messages.OutcomeFoundOver:
		if !w.Adopts || o.Kind == messages.OutcomeFoundOver && w.Kind == messages.WriteRelease {
			return "nothing was to be adopted, or it was over already"
		}
	case messages.OutcomeNotApplied:
		if w.Report == nil {
			return "only a report may have to be made again"
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
	if w.Kind == messages.WriteNote && !w.Adopts {
		return ""
	}
	meant := w.Call == o.Call.ID || w.Kind == messages.WriteRelease && w.Report != nil && w.Token == 0
	if !meant || o.Call.UserID != w.User || o.Call.ClientID != w.Client {
		return "the call is not the one written"
	}
	if w.Kind == messages.WriteClaim && (o.Holder.ID != w.User || !o.Holder.CallStartedAt.Equal(o.Call.StartedAt)) {
		return "the holder of a claim that was made is its user"
	}
	return malformedCall(o.Call)
}

// malformedEvent holds an event to the outcome that it comes with. A claim that
// is Done may have been in progress before, and then has none.
func malformedEvent(w messages.Write, o messages.Outcome) string {
	if o.Event != nil && o.Event.Type == messages.EventCallRefused {
		return malformedRefusal(w, o)
	}
	started := o.Kind == messages.OutcomeDone && w.Kind == messages.WriteClaim
	ended := o.Kind == messages.OutcomeDone && w.Kind == messages.WriteRelease
	e := o.Event
	switch {
	case e == nil && ended:
		return "I7: a call was ended without an event"
	case e == nil:
		return ""
	case !started && !ended:
		return "I7: an event of what neither started nor ended a call"
	case started && (e.Type != messages.EventCallStarted || !e.At.Equal(e.Call.StartedAt) || e.Reason != "" || e.Disposition != ""):
		return "I7: the event is not the call's start"
	case ended && (e.Type != messages.EventCallEnded || e.At.Before(e.Call.StartedAt) || e.Reason != w.Reason || e.Disposition != w.Disposition):
		return "I7: the event is not the call's end"
	case e.ID != messages.EventID(o.Call.ID, e.Type) || e.Call != o.Call || !storedTime(e.At):
		return "I7: the event is of another call or has no time"
	case e.User.ID != o.Call.UserID || e.User.Email == "" || e.User.Role == "":
		return "I7: the event lacks its user"
	case e.Client.ID != o.Call.ClientID:
		return "I7: the event lacks its client"
	}
	return ""
}

// malformedRefusal holds the event of a refused report to its write.
func malformedRefusal(w messages.Write, o messages.Outcome) string {
	e := o.Event
	switch {
	case w.Report == nil || e.Refusal == nil:
		return "I7: a refusal of what was not reported"
	case e.Refusal.Source != w.Report.Source || e.Refusal.ID != w.Report.ID || e.Refusal.CallRef != w.Report.CallRef:
		return "I7: the refusal is of another report"
	case e.Refusal.Code == "" || e.Refusal.Code != messages.AnswerOf(w, o).Code:
		return "I7: the refusal says something else than the answer"
	case e.Call != messages.Call{ID: w.Call, UserID: w.User, ClientID: w.Client} || !storedTime(e.At):
		return "I7: the refusal is of another call or has no time"
	}
	return ""
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
