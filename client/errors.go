package client

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code says why something was not done. Codes are errors, for [errors.Is].
type Code string

// The codes. A server newer than this package may have others.
const (
	// CodeBadRequest: an id is not a UUID, a text is too long, several clients have
	// the number, or the like.
	CodeBadRequest Code = "bad_request"
	// CodeTooLarge: the request is larger than the server reads.
	CodeTooLarge Code = "too_large"
	// CodeUnauthenticated: the API key is missing, wrong or revoked.
	CodeUnauthenticated Code = "unauthenticated"
	// CodeForbidden: the key, or the NATS user, may not do this.
	CodeForbidden Code = "forbidden"
	// CodeNotFound: the server does not know the address.
	CodeNotFound Code = "not_found"
	// CodeMethodNotAllowed: the address does not take this method.
	CodeMethodNotAllowed Code = "method_not_allowed"
	// CodeUserNotFound: no active user has this id or address.
	CodeUserNotFound Code = "user_not_found"
	// CodeClientNotFound: no client has this id or number.
	CodeClientNotFound Code = "client_not_found"
	// CodeUserOnCall: the user is in a call already; [Error.Call] is that call.
	CodeUserOnCall Code = "user_on_call"
	// CodeClientBeingCalled: somebody else is calling the client; [Error.Caller]
	// says who.
	CodeClientBeingCalled Code = "client_being_called"
	// CodeCallOver: the call has ended, or its lease has run out.
	CodeCallOver Code = "call_over"
	// CodeEmailTaken: another user has this e-mail address.
	CodeEmailTaken Code = "email_taken"
	// CodeKeyReused: the idempotency key was used for another request.
	CodeKeyReused Code = "idempotency_key_reused"
	// CodeRateLimited: too many requests of this key.
	CodeRateLimited Code = "rate_limited"
	// CodeOverloaded: the server has more to do than it can; nothing was done.
	CodeOverloaded Code = "overloaded"
	// CodeUnavailable: the server or its store cannot be reached; nothing was
	// done.
	CodeUnavailable Code = "unavailable"
	// CodeOutcomeUnknown: no answer came. It may have been done or not. A call
	// that may have been started ends by its lease at the latest: two hours after
	// a start without [Lease].
	CodeOutcomeUnknown Code = "outcome_unknown"
	// CodeInternal: a defect of the server.
	CodeInternal Code = "internal"
)

// Error implements error.
func (c Code) Error() string { return string(c) }

// known reports whether this package has heard of the code.
func (c Code) known() bool {
	switch c {
	case CodeBadRequest, CodeTooLarge, CodeUnauthenticated, CodeForbidden, CodeNotFound, CodeMethodNotAllowed,
		CodeUserNotFound, CodeClientNotFound, CodeUserOnCall, CodeClientBeingCalled, CodeCallOver, CodeEmailTaken,
		CodeKeyReused, CodeRateLimited, CodeOverloaded, CodeUnavailable, CodeOutcomeUnknown, CodeInternal:
		return true
	}
	return false
}

// temporary reports whether the same request may succeed a moment later.
func (c Code) temporary() bool {
	switch c {
	case CodeRateLimited, CodeOverloaded, CodeUnavailable, CodeOutcomeUnknown:
		return true
	}
	return false
}

// decided reports whether the code is the server's answer to the request itself,
// which it gives to every attempt with the same key.
func (c Code) decided() bool {
	switch c {
	case CodeUserOnCall, CodeClientBeingCalled, CodeCallOver, CodeKeyReused:
		return true
	}
	return false
}

// Error is why something was not done.
type Error struct {
	Code     Code
	Sentence string  // for a person
	Caller   *Caller // with CodeClientBeingCalled: who is calling
	Call     *Call   // with CodeUserOnCall: the call in the way
	// IdempotencyKey is that of a start or a hold: if its outcome is unknown, a
	// start with this key says what came of it.
	IdempotencyKey string

	retryAfter time.Duration // as the server asked
	final      bool          // trying again would not help
	cause      error
}

func (e *Error) temporary() bool { return !e.final && e.Code.temporary() }

// Error implements error.
func (e *Error) Error() string {
	s := "dibs: " + string(e.Code)
	if e.Sentence != "" {
		s += ": " + e.Sentence
	}
	if e.cause != nil {
		s += " (" + e.cause.Error() + ")"
	}
	return s
}

// Unwrap returns the code, and what caused the error on this side, if anything:
// the end of a context, a broken connection. A refusal that leaves open what came
// of an attempt before is [CodeOutcomeUnknown] as well.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.cause}
}

// lost is an answer that did not come.
func lost(err error) *Error {
	return &Error{Code: CodeOutcomeUnknown, Sentence: "No answer came.", cause: err}
}

// unreachable is a request that did not leave.
func unreachable(err error) *Error {
	return &Error{Code: CodeUnavailable, Sentence: "dibs cannot be reached.", cause: err}
}

// badRequest is for what is wrong before anything is sent.
func badRequest(format string, args ...any) *Error {
	return &Error{Code: CodeBadRequest, Sentence: fmt.Sprintf(format, args...)}
}

// asError returns err as an *Error; what is none is an answer that did not come.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return lost(err)
}

// notSent is for a context that had ended before anything was sent.
func notSent(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return &Error{Code: CodeUnavailable, Sentence: "Nothing was sent.", cause: err}
	}
	return nil
}
