package simulation

import (
	"fmt"

	"github.com/dibs-calls/dibs/messages"
)

// seen answers a request from what the actors show, as the engine does in one process
// whenever it can; here half of the time, so that the other way is taken too. It reports
// whether it did.
func (w *world) seen(r *request) bool {
	if !w.mailboxes || w.nodes > 1 || r.key != "" || w.rng.IntN(2) == 0 {
		return false
	}
	start, isStart := r.do.(messages.StartCall)
	if r.do != nil && !isStart {
		return false
	}
	said, known := w.lookAtClient(r.client)
	if !known {
		return false
	}
	var caller *messages.Caller
	if said != nil {
		call, sure := w.lookAtUser(said.UserID)
		if !sure || call == nil || call.ID != said.ID {
			return false
		}
		caller = &messages.Caller{ID: call.UserID, CallStartedAt: call.StartedAt}
	}
	if isStart {
		if own, sure := w.lookAtUser(start.User); caller == nil || !sure || own != nil {
			return false
		}
	}
	w.checkSeen(r, caller)
	r.availability.Caller = caller
	a := messages.Answer{Caller: caller}
	if isStart {
		a.Code = messages.CodeClientBeingCalled
	}
	w.answered(r, a)
	return true
}

func (w *world) lookAtUser(id messages.UserID) (*messages.HeldClaim, bool) {
	if len(w.links[link{from: "anybody", to: w.userAt(0, id)}]) > 0 {
		return nil, false
	}
	return w.users[number(id.UUID)].state.Glance()
}

func (w *world) lookAtClient(id messages.ClientID) (*messages.HeldClaim, bool) {
	if len(w.links[link{from: "anybody", to: w.clientAt(0, id)}]) > 0 {
		return nil, false
	}
	return w.clients[number(id.UUID)].state.Glance()
}

// checkSeen: what is told from what actors show is what the store has at that moment, and
// nobody's request is answered before an earlier one of the same user. That a client is
// free may be told while a claim is being confirmed that an earlier life of the client's
// actor let through; checkAvailability is about that.
func (w *world) checkSeen(r *request, caller *messages.Caller) {
	w.glances++
	r.name = fmt.Sprintf("%s, seen", r.name)
	is := w.store.byClient[r.client]
	if caller != nil && (is == nil || is.call.UserID != caller.ID) || caller == nil && is != nil && !w.faulty {
		w.t.Fatalf("I4: %s: told of %+v, but the store has %+v", r.name, caller, is)
	}
	for _, p := range w.writes {
		if caller != nil && p.write.Kind == messages.WriteRelease && p.write.User == caller.ID {
			w.t.Fatalf("I4: %s: told of a call that is being ended", r.name)
		}
	}
	if r.do == nil {
		return
	}
	if own := w.store.byUser[r.user]; own != nil {
		w.t.Fatalf("I4: %s: refused for somebody else's call while on %v", r.name, own.call)
	}
	for _, q := range w.requests {
		if q != r && q.user == r.user && q.do != nil && q.answered == 0 && !q.gaveUp {
			w.t.Fatalf("%s: answered before %s", r.name, q.name)
		}
	}
}
