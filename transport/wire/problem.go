package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Problem is why a request is refused, with everything that the answer says.
// It is an error, so that handlers return it.
type Problem struct {
	Code       messages.Code
	Sentence   string        // empty: the default of the code
	RetryAfter time.Duration // zero: the default of the code
	Call       *messages.Call
	Caller     *messages.Caller
	Allow      string // of a 405
	Cause      error  // for the log alone; may be nil
}

func (p *Problem) Error() string {
	s := string(p.Code)
	if p.Sentence != "" {
		s += ": " + p.Sentence
	}
	if p.Cause != nil {
		s += ": " + p.Cause.Error()
	}
	return s
}

func (p *Problem) Unwrap() error { return p.Cause }

// BadRequest says what is wrong with the input, in a sentence for a person.
func BadRequest(format string, args ...any) *Problem {
	return &Problem{Code: messages.CodeBadRequest, Sentence: fmt.Sprintf(format, args...)}
}

// Internal is a defect of the server. What it says goes to the log alone.
func Internal(format string, args ...any) *Problem {
	return &Problem{Code: messages.CodeInternal, Cause: fmt.Errorf(format, args...)}
}

// Refused turns an answer that is not OK into the error to return.
func Refused(answer messages.Answer) *Problem {
	p := &Problem{Code: answer.Code, Call: answer.Call, Caller: answer.Caller}
	if p.Code == messages.CodeClientBeingCalled && p.Caller != nil {
		p.Sentence = "This client is already being called by " + p.Caller.Name + ". Please try again later."
	}
	return p
}

// ProblemOf finds out what may be told about err. A request that ended by its
// deadline may have been written, unless it only reads.
func ProblemOf(err error, reads bool) *Problem {
	if p, direct := err.(*Problem); direct { //nolint:errorlint // the usual case: As costs an allocation
		return p
	}
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var coded *messages.Error
	switch {
	case errors.As(err, &coded):
		return &Problem{Code: coded.Code, Sentence: coded.Sentence, Cause: err}
	case !ranOut(err):
		return &Problem{Code: messages.CodeInternal, Cause: err}
	case reads:
		return &Problem{Code: messages.CodeUnavailable, Cause: err}
	}
	return &Problem{Code: messages.CodeOutcomeUnknown, Cause: err}
}

// AsRead marks the failure of something that changed nothing: if time ran out,
// it is certain that nothing was done, whatever the request was for.
func AsRead(err error) error {
	if ranOut(err) {
		return &Problem{Code: messages.CodeUnavailable, Cause: err}
	}
	return err
}

func ranOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// Body is every answer that is not a success. It always encodes.
type Body struct {
	Error  string           `json:"error"`
	Code   messages.Code    `json:"code"`
	Call   *messages.Call   `json:"call,omitempty"`
	Caller *messages.Caller `json:"caller,omitempty"`
}

// Body says what may be told of the problem, and how. A code outside the closed
// set is told as a defect.
func (p *Problem) Body() (Refusal, Body) {
	how, known := RefusalOf(p.Code)
	if !known || p.Code == messages.CodeInternal {
		how, _ = RefusalOf(messages.CodeInternal)
		return how, Body{Error: how.Sentence, Code: messages.CodeInternal}
	}
	body := Body{Error: how.Sentence, Code: p.Code, Call: p.Call, Caller: p.Caller}
	if p.Sentence != "" {
		body.Error = p.Sentence
	}
	how.RetryAfter = max(how.RetryAfter, p.RetryAfter)
	return how, body
}
