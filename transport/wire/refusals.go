package wire

import (
	"math"
	"strconv"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Refusal is how a code is said.
type Refusal struct {
	Status     int // of HTTP; NATS gives the same number
	Sentence   string
	RetryAfter time.Duration // zero: trying again would not help
}

// Seconds is RetryAfter as the header of that name has it; empty: none.
func (r Refusal) Seconds() string {
	if r.RetryAfter <= 0 {
		return ""
	}
	return strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds())))
}

// RefusalOf says how a code is told; false: it is not of the closed set.
func RefusalOf(code messages.Code) (Refusal, bool) {
	how, known := refusals[code]
	return how, known
}

// refusals maps every code of the closed set. It is never written to.
var refusals = map[messages.Code]Refusal{ //nolint:gochecknoglobals // read-only
	messages.CodeBadRequest:        {400, "The request cannot be understood.", 0},
	messages.CodeTooLarge:          {413, "The request is larger than this server reads.", 0},
	messages.CodeUnauthenticated:   {401, "Please sign in.", 0},
	messages.CodeForbidden:         {403, "You are not allowed to do this.", 0},
	messages.CodeNotFound:          {404, "There is nothing at this address.", 0},
	messages.CodeMethodNotAllowed:  {405, "This address does not take this method.", 0},
	messages.CodeUserNotFound:      {404, "There is no such user.", 0},
	messages.CodeClientNotFound:    {404, "There is no such client.", 0},
	messages.CodeUserOnCall:        {409, "You are already on a call. Please end your current call first.", 0},
	messages.CodeClientBeingCalled: {409, "This client is already being called. Please try again later.", 0},
	messages.CodeCallOver:          {409, "This call is over.", 0},
	messages.CodeEmailTaken:        {409, "Another user has this e-mail address.", 0},
	messages.CodeKeyReused:         {422, "This idempotency key was used for another request.", 0},
	messages.CodeRateLimited:       {429, "Too many requests. Please try again later.", time.Second},
	messages.CodeOverloaded:        {503, "The server is too busy; nothing was done. Please try again.", time.Second},
	messages.CodeUnavailable:       {503, "The database cannot be reached; nothing was done. Please try again.", time.Second},
	messages.CodeOutcomeUnknown: {503, "It is not known whether this was done. " +
		"Please look, or try again with the same idempotency key.", time.Second},
	messages.CodeInternal: {500, "Something went wrong on the server.", 0},
}
