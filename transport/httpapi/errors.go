package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// refusal is how a code is said over HTTP.
type refusal struct {
	status     int
	sentence   string
	retryAfter time.Duration
}

// refusals maps every code of the closed set. It is never written to.
var refusals = map[messages.Code]refusal{ //nolint:gochecknoglobals // read-only
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

// problem is why a request is refused, with everything that the answer says.
// It is an error, so that handlers return it.
type problem struct {
	Code       messages.Code
	Sentence   string        // empty: the default of the code
	RetryAfter time.Duration // zero: the default of the code
	Call       *messages.Call
	Caller     *messages.Caller
	Allow      string // of a 405
	cause      error  // for the log alone
}

func (p *problem) Error() string {
	s := string(p.Code)
	if p.Sentence != "" {
		s += ": " + p.Sentence
	}
	if p.cause != nil {
		s += ": " + p.cause.Error()
	}
	return s
}

func (p *problem) Unwrap() error { return p.cause }

// badRequest says what is wrong with the input, in a sentence for a person.
func badRequest(format string, args ...any) *problem {
	return &problem{Code: messages.CodeBadRequest, Sentence: fmt.Sprintf(format, args...)}
}

func forbidden(sentence string) *problem {
	return &problem{Code: messages.CodeForbidden, Sentence: sentence}
}

func internal(format string, args ...any) *problem {
	return &problem{Code: messages.CodeInternal, cause: fmt.Errorf(format, args...)}
}

// refused turns an answer that is not OK into the error to return.
func refused(answer messages.Answer) *problem {
	p := &problem{Code: answer.Code, Call: answer.Call, Caller: answer.Caller}
	if p.Code == messages.CodeClientBeingCalled && p.Caller != nil {
		p.Sentence = "This client is already being called by " + p.Caller.Name + ". Please try again later."
	}
	return p
}

// problemOf finds out what may be told about err. A request that ended by its
// deadline while the store was writing may have been written.
func problemOf(err error, method string) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	var coded *messages.Error
	switch {
	case errors.As(err, &coded):
		p = &problem{Code: coded.Code, Sentence: coded.Sentence, cause: err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		p = &problem{Code: messages.CodeOutcomeUnknown, cause: err}
		if method == http.MethodGet || method == http.MethodHead {
			p.Code = messages.CodeUnavailable
		}
	default:
		p = &problem{Code: messages.CodeInternal, cause: err}
	}
	return p
}

// asRead marks the failure of something that changed nothing: if time ran out,
// it is certain that nothing was done, whatever the request's method.
func asRead(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &problem{Code: messages.CodeUnavailable, cause: err}
	}
	return err
}

// errorBody is every answer that is not a success.
type errorBody struct {
	Error  string           `json:"error"`
	Code   messages.Code    `json:"code"`
	Call   *messages.Call   `json:"call,omitempty"`
	Caller *messages.Caller `json:"caller,omitempty"`
}

// fail answers with a problem, and logs what is the server's fault.
func (a *API) fail(x *exchange, p *problem) {
	how, known := refusals[p.Code]
	if !known || p.Code == messages.CodeInternal {
		p = &problem{Code: messages.CodeInternal, cause: p}
		how = refusals[messages.CodeInternal]
	}
	body := errorBody{Error: how.sentence, Code: p.Code, Call: p.Call, Caller: p.Caller}
	if p.Sentence != "" {
		body.Error = p.Sentence
	}
	h := x.w.Header()
	if wait := max(how.retryAfter, p.RetryAfter); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	if how.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="dibs"`)
	}
	if p.Allow != "" {
		h.Set("Allow", p.Allow)
	}
	if how.status >= 500 {
		a.logFailure(x, how.status, p)
	}
	_ = x.respond(how.status, &body) // errorBody always encodes
}
