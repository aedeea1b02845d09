package persistence

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// FillLog completes the log of a call that it ended: what its writer left out
// of when the call began, when it ended and how long it took is the store's own
// knowledge of that call.
func FillLog(log *messages.CallLog, call messages.Call, endedAt time.Time) {
	if log.CallStartedAt == nil {
		log.CallStartedAt = &call.StartedAt
	}
	if log.CallEndedAt == nil {
		log.CallEndedAt = &endedAt
	}
	if log.CallDuration == nil {
		seconds := int(endedAt.Sub(call.StartedAt) / time.Second)
		log.CallDuration = &seconds
	}
}
