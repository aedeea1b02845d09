package simulation

import (
	"github.com/dibs-calls/dibs/messages"
)

// check holds an answer against the history of the store.
func (w *world) check(r *request) {
	switch do := r.do.(type) {
	case nil:
		w.checkAvailability(r)
	case messages.StartCall:
		w.checkStart(r, do)
	case messages.EndCall, messages.SaveLog:
		if r.answer.Ended != nil {
			if c := w.recordOf(r.answer.Ended.ID); c == nil || c.ended == 0 {
				w.t.Fatalf("I3: %s: end acknowledged, but the store has the call", r.name)
			}
		}
	case messages.RenewCall:
		if c := w.recordOf(do.Call); r.answer.Code == messages.OK &&
			(c == nil || c.call.LeaseExpiresAt.Before(r.answer.Call.LeaseExpiresAt)) {
			w.t.Fatalf("%s: told a lease that is not on stable storage", r.name)
		}
	}
	w.checkReplay(r)
}

func (w *world) checkStart(r *request, do messages.StartCall) {
	switch r.answer.Code {
	case messages.OK:
		c := w.recordOf(r.answer.Call.ID)
		if c == nil || c.committed > w.step {
			w.t.Fatalf("I3: %s: start acknowledged, but the store never had it", r.name)
		}
		if r.key == "" && r.answer.Call.ID != do.Call {
			w.t.Fatalf("%s: acknowledged as %v", r.name, r.answer.Call.ID)
		}
	case messages.CodeClientBeingCalled:
		w.checkNeverBegan(r, do)
		if r.key == "" && !w.wasOn(r, r.answer.Caller.ID, do.Client) {
			w.t.Fatalf("I4: %s: refused for %v, who was not calling", r.name, r.answer.Caller.ID)
		}
	case messages.CodeUserOnCall:
		w.checkNeverBegan(r, do)
		if r.key == "" && !w.wasOn(r, do.User, r.answer.Call.ClientID) {
			w.t.Fatalf("I4: %s: refused for a call of their own that was not on", r.name)
		}
	case messages.CodeUnavailable:
		if !w.faulty {
			w.t.Fatalf("%s: unavailable without a fault", r.name)
		}
		if w.recordOf(do.Call) != nil {
			w.t.Fatalf("%s: told that nothing was done, but the store has it", r.name)
		}
	}
}

// checkNeverBegan: who is refused has begun no call, by an earlier try either.
func (w *world) checkNeverBegan(r *request, do messages.StartCall) {
	if r.key == "" && w.recordOf(do.Call) != nil {
		w.t.Fatalf("%s: refused, but the store has had that very call", r.name)
	}
}

// wasOn reports whether u's call to c was committed and in progress at some
// moment between r and its answer.
func (w *world) wasOn(r *request, u messages.UserID, c messages.ClientID) bool {
	for _, h := range w.store.history {
		if h.call.UserID == u && h.call.ClientID == c && h.committed <= r.answered && (h.ended == 0 || h.ended >= r.asked) {
			return true
		}
	}
	return false
}

func (w *world) checkAvailability(r *request) {
	a := r.availability
	if a.Code != messages.OK {
		if !w.faulty {
			w.t.Fatalf("%s: %s without a fault", r.name, a.Code)
		}
		return
	}
	if a.Caller != nil {
		if !w.wasOn(r, a.Caller.ID, r.client) {
			w.t.Fatalf("%s: said to be called by %v, who was not calling", r.name, a.Caller.ID)
		}
		return
	}
	// Said to be available: no acknowledged call may have lasted throughout.
	// In one process this rests on the confirmation being in the client actor's
	// mailbox before the answer leaves; between nodes, on a read.
	if !w.mailboxes && !w.distant {
		return
	}
	for _, q := range w.requests {
		do, ok := q.do.(messages.StartCall)
		if !ok || q.answered == 0 || q.answered >= r.asked || q.gaveUp || q.answer.Code != messages.OK || do.Client != r.client {
			continue
		}
		if c := w.recordOf(q.answer.Call.ID); c.ended == 0 || c.ended > r.answered {
			w.t.Fatalf("%s: said to be available after %s was acknowledged", r.name, q.name)
		}
	}
}

// checkReplay holds I8: the same key gets the same answer and one effect.
func (w *world) checkReplay(r *request) {
	if r.key == "" || !definite(r.answer.Code) {
		return
	}
	started := 0
	for _, c := range w.store.history {
		if c.key == r.key {
			started++
		}
	}
	if started > 1 {
		w.t.Fatalf("I8: key %s started %d calls", r.key, started)
	}
	for _, q := range w.requests {
		if q == r || q.key != r.key || q.answered == 0 || q.gaveUp || !definite(q.answer.Code) {
			continue
		}
		if q.answer.Code != r.answer.Code || q.answer.Call != nil && q.answer.Call.ID != r.answer.Call.ID {
			w.t.Fatalf("I8: key %s was answered %+v and %+v", r.key, q.answer, r.answer)
		}
	}
}

func definite(c messages.Code) bool {
	return c != messages.CodeUnavailable && c != messages.CodeOutcomeUnknown && c != messages.CodeOverloaded
}

func (w *world) recordOf(id messages.CallID) *record {
	for _, r := range w.store.history {
		if r.call.ID == id {
			return r
		}
	}
	return nil
}

// checkHistory holds I1, I2, I5 and I6 on the whole history.
func (w *world) checkHistory() {
	overlap := func(a, b *record) bool {
		return (a.ended == 0 || b.committed < a.ended) && (b.ended == 0 || a.committed < b.ended)
	}
	for i, a := range w.store.history {
		if a.ended != 0 && a.reason == "" {
			w.t.Fatalf("I5: %v ended without a reason", a.call.ID)
		}
		for _, b := range w.store.history[i+1:] {
			if a.call.ID == b.call.ID {
				w.t.Fatalf("I8: %v began twice", a.call)
			}
			if a.call.ClientID == b.call.ClientID {
				if overlap(a, b) {
					w.t.Fatalf("I1: %v and %v", a.call, b.call)
				}
				if b.call.Token <= a.call.Token {
					w.t.Fatalf("I6: %v after %v", b.call, a.call)
				}
			}
			if a.call.UserID == b.call.UserID && overlap(a, b) {
				w.t.Fatalf("I2: %v and %v", a.call, b.call)
			}
		}
	}
}
