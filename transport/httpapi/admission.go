package httpapi

import (
	"net/http"

	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
)

// place is a place in the engine or the store.
type place struct {
	pass  admission.Pass
	paced bool // how long it takes says how busy the process is
}

// enter takes a place. It never waits: a queue here would only make everybody late.
func (a *API) enter(x *exchange) (place, error) {
	class, paced := x.class()
	pass, ok := a.Admission.Enter(class, x.digest[0])
	if !ok {
		return place{}, a.busy()
	}
	a.inFlight.Add(1)
	return place{pass, paced}, nil
}

// leave gives the place back.
func (a *API) leave(x *exchange, p place) {
	a.inFlight.Add(-1)
	a.Admission.Leave(p.pass, p.paced && x.status == http.StatusOK)
}

// busy refuses a request, and says when to come again.
func (a *API) busy() *problem {
	return &problem{Code: messages.CodeOverloaded, RetryAfter: a.Admission.RetryAfter()}
}

// class says whether a request goes before others. Of a change of calls its action
// says so. Renewals are mostly answered from memory, and say nothing about how busy
// the process is.
func (x *exchange) class() (c admission.Class, paced bool) {
	if !x.route.change {
		return x.route.class, false
	}
	switch x.change.Action {
	case wire.ActionEnd:
		return admission.End, true
	case wire.ActionRenew:
		return admission.End, false
	}
	return admission.Start, true
}
