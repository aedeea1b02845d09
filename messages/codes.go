package messages

import "errors"

// Code says why a request was not carried out. The set is closed: each
// transport maps every code to its own status, once, in one table.
type Code string

const (
	// OK is the absence of a code: the request was carried out.
	OK Code = ""

	// CodeBadRequest: the request cannot be understood, or a value in it is
	// not allowed.
	CodeBadRequest Code = "bad_request"
	// CodeTooLarge: the body or a header is larger than is read.
	CodeTooLarge Code = "too_large"
	// CodeUnauthenticated: no token, or one that is wrong, expired or revoked.
	CodeUnauthenticated Code = "unauthenticated"
	// CodeForbidden: we know who is asking, and they may not.
	CodeForbidden Code = "forbidden"
	// CodeNotFound: no such address, or no such thing of a kind that has no
	// code of its own.
	CodeNotFound Code = "not_found"
	// CodeMethodNotAllowed: the address exists, the method on it does not.
	CodeMethodNotAllowed Code = "method_not_allowed"
	// CodeUserNotFound: no active user has this id.
	CodeUserNotFound Code = "user_not_found"
	// CodeClientNotFound: no client has this id.
	CodeClientNotFound Code = "client_not_found"

	// CodeUserOnCall: the user is in a call already (I2).
	CodeUserOnCall Code = "user_on_call"
	// CodeClientBeingCalled: somebody else is calling the client (I1).
	CodeClientBeingCalled Code = "client_being_called"
	// CodeCallOver: the call named has ended, or the token is not its own (I6).
	CodeCallOver Code = "call_over"
	// CodeEmailTaken: another user has this e-mail address.
	CodeEmailTaken Code = "email_taken"
	// CodeKeyReused: the idempotency key was used for another request (I8).
	CodeKeyReused Code = "idempotency_key_reused"

	// CodeRateLimited: too many requests of this caller; see Retry-After.
	CodeRateLimited Code = "rate_limited"
	// CodeOverloaded: the server has more to do than it can; nothing was done.
	CodeOverloaded Code = "overloaded"
	// CodeUnavailable: the store cannot be reached; nothing was done.
	CodeUnavailable Code = "unavailable"
	// CodeOutcomeUnknown: the answer of the store was lost, and it could not
	// be asked again in time. It may have been done or not; a retry with the
	// same idempotency key finds out and does it at most once.
	CodeOutcomeUnknown Code = "outcome_unknown"
	// CodeInternal: a defect of the server.
	CodeInternal Code = "internal"
)

// Codes lists the whole set, for the tests that hold tables to it.
var Codes = [...]Code{ //nolint:gochecknoglobals // never changed
	CodeBadRequest, CodeTooLarge, CodeUnauthenticated, CodeForbidden, CodeNotFound,
	CodeMethodNotAllowed, CodeUserNotFound, CodeClientNotFound, CodeUserOnCall,
	CodeClientBeingCalled, CodeCallOver, CodeEmailTaken, CodeKeyReused,
	CodeRateLimited, CodeOverloaded, CodeUnavailable, CodeOutcomeUnknown, CodeInternal,
}

// Error is a failure that may be told to the outside: a code of the closed
// set, a sentence for a person, and the cause for the log. The cause never
// leaves the server.
type Error struct {
	Code     Code
	Sentence string // empty: the transport's default for the code
	Cause    error  // may be nil
}

func (e *Error) Error() string {
	s := string(e.Code)
	if e.Sentence != "" {
		s += ": " + e.Sentence
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// CodeOf returns the code that err carries: [OK] for nil, [CodeInternal] for
// an error that carries none.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
