package wire

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// inUTC puts the times of a message into UTC, in which everything speaks here: on the
// wire they have no zone, and come out in the zone of the machine.
func inUTC(m any) any {
	switch m := m.(type) {
	case messages.SaveLog:
		logUTC(&m.Log)
		return m
	case messages.ReportStarted:
		utc(&m.Report.OccurredAt)
		return m
	case messages.ReportEnded:
		utc(&m.Report.OccurredAt)
		return m
	case messages.EndCall:
		if m.Audit != nil {
			utc(&m.Audit.At)
		}
		return m
	case messages.Answer:
		callUTC(m.Call)
		callUTC(m.Ended)
		callerUTC(m.Caller)
		if m.Log != nil {
			logUTC(m.Log)
		}
		return m
	case messages.Availability:
		callerUTC(m.Caller)
		return m
	case messages.Confirm:
		callUTC(&m.Call)
		return m
	case messages.Lost:
		callUTC(&m.Holder.Call)
		return m
	case messages.HolderSays:
		callUTC(&m.Held.Call)
		return m
	case messages.Refused:
		callerUTC(m.Caller)
		return m
	}
	return m
}

func utc(t *time.Time) {
	if t != nil {
		*t = t.UTC()
	}
}

func callUTC(c *messages.Call) {
	if c != nil {
		utc(&c.StartedAt)
		utc(&c.LeaseExpiresAt)
	}
}

func callerUTC(c *messages.Caller) {
	if c != nil {
		utc(&c.CallStartedAt)
	}
}

func logUTC(l *messages.CallLog) {
	utc(l.CallbackTime)
	utc(l.CallStartedAt)
	utc(l.CallEndedAt)
	utc(&l.CreatedAt)
}
