package wire

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// CallingUser is a user in the answer to a start or an end.
type CallingUser struct {
	messages.User
	IsOnCall            bool               `json:"is_on_call"`
	CurrentCallClientID *messages.ClientID `json:"current_call_client_id"`
	CallStartedAt       *time.Time         `json:"call_started_at"`
}

// Calling is a user with the call that they are on; nil: none.
func Calling(user messages.User, call *messages.Call) CallingUser {
	u := CallingUser{User: user}
	if call != nil {
		u.IsOnCall, u.CurrentCallClientID, u.CallStartedAt = true, &call.ClientID, &call.StartedAt
	}
	return u
}

// StartAnswer says that a call was started.
type StartAnswer struct {
	User    CallingUser    `json:"user"`
	Call    *messages.Call `json:"call"`
	Message string         `json:"message"`
}

// EndAnswer says that a call was ended, or that there was none to end.
type EndAnswer struct {
	User    CallingUser    `json:"user"`
	Ended   *messages.Call `json:"ended,omitempty"`
	Message string         `json:"message"`
}

// RenewAnswer says until when a call may go on.
type RenewAnswer struct {
	Call           *messages.Call `json:"call"`
	LeaseExpiresAt time.Time      `json:"lease_expires_at"`
	Message        string         `json:"message"`
}

// AvailabilityAnswer says whether a client can be called, and who does.
type AvailabilityAnswer struct {
	Available bool             `json:"available"`
	Caller    *messages.Caller `json:"caller"`
}
