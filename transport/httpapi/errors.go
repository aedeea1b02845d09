package httpapi

import (
	"net/http"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
)

// problem is why a request is refused.
type problem = wire.Problem

// badRequest says what is wrong with the input, in a sentence for a person.
func badRequest(format string, args ...any) *problem { return wire.BadRequest(format, args...) }

func forbidden(sentence string) *problem {
	return &problem{Code: messages.CodeForbidden, Sentence: sentence}
}

func internal(format string, args ...any) *problem { return wire.Internal(format, args...) }

// problemOf finds out what may be told about err.
func problemOf(err error, method string) *problem {
	return wire.ProblemOf(err, method == http.MethodGet || method == http.MethodHead)
}

// asRead marks the failure of something that changed nothing.
func asRead(err error) error { return wire.AsRead(err) }

// refused turns an answer that is not OK into the error to return.
func refused(answer messages.Answer) *problem { return wire.Refused(answer) }

// fail answers with a problem, and logs what is the server's fault.
func (a *API) fail(x *exchange, p *problem) {
	how, body := p.Body()
	h := x.w.Header()
	if seconds := how.Seconds(); seconds != "" {
		h.Set("Retry-After", seconds)
	}
	if how.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="dibs"`)
	}
	if p.Allow != "" {
		h.Set("Allow", p.Allow)
	}
	a.mark(x, body.Code, how.Status)
	if how.Status >= http.StatusInternalServerError {
		a.logFailure(x, how.Status, p)
	}
	mine := x.memory()
	if b, err := body.AppendJSON(mine.answer[:0]); err == nil { // it always encodes
		mine.answer = b
		x.write(how.Status, b)
	}
}
