package simulation

import (
	"slices"
	"time"

	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// reserveAgain is when the shell reminds a user actor of its reservation.
const reserveAgain = 50 * time.Millisecond

// travel sends a message of a user actor to a client actor, or back. Between nodes it
// may be lost, come twice, and be overtaken.
func (w *world) travel(from, to string, m any) {
	if !w.distant {
		w.send(from, to, m)
		return
	}
	times := 1
	if w.faults {
		switch w.rng.IntN(12) {
		case 0:
			times = 0
		case 1:
			times = 2
		}
	}
	for range times {
		w.enqueue(link{from: from, to: to, loose: true}, m)
	}
}

// leave has a user live elsewhere from now on, as the shell does it.
func (w *world) leave() {
	n := w.rng.IntN(len(w.users))
	w.stepUser(n, user.Leave{Answer: messages.Answer{Code: messages.CodeUnavailable}})
	if u := w.users[n]; u.state.AtRest() {
		u.state, u.incarnation = u.state.Forget(), u.incarnation+1
	}
}

// takeOver has another node end the call of a user whose actor here has no memory to go
// by, and may be in doubt about a commit.
func (w *world) takeOver() {
	u := w.users[w.rng.IntN(len(w.users))]
	held := w.store.byUser[u.state.User]
	if u.state.Phase() != user.Loading || held == nil {
		return
	}
	release := messages.Write{
		Kind: messages.WriteRelease, User: held.call.UserID, Client: held.call.ClientID,
		Call: held.call.ID, Token: held.call.Token, Reason: messages.ReasonCompleted,
	}
	if !w.blocked(release) {
		w.store.apply(release, w.step, w.now)
	}
}

// die has the node of a user die, with all that is under way there. What it had sent to
// the store is done or not, and then its sessions are over: only after that does the user
// live elsewhere. Whoever waited for an answer asks again there, if that can have its
// effect only once.
func (w *world) die() {
	n := w.rng.IntN(len(w.users))
	u := w.users[n]
	askers, _ := u.state.Waiting()
	for _, p := range w.writes {
		if p.user == n && !w.blocked(p.write) && w.rng.IntN(2) == 0 {
			w.store.apply(p.write, w.step, w.now)
		}
	}
	w.writes = slices.DeleteFunc(w.writes, func(p write) bool { return p.user == n })
	u.state, u.incarnation, u.writing = u.state.Forget(), u.incarnation+1, false
	for _, a := range askers {
		if r, ok := a.(*request); ok && r != nil && !r.gaveUp && !w.repeat(r) {
			w.answered(r, messages.Answer{Code: messages.CodeOutcomeUnknown})
		}
	}
}

// repeat makes a request again of which an earlier try may have had its effect, as the
// shell does it. It reports whether that can be.
func (w *world) repeat(r *request) bool {
	start, ok := r.do.(messages.StartCall)
	if !ok || r.gaveUp {
		return false
	}
	r.doubt, r.again = true, true
	var do any = start
	if start.Key == nil {
		do = user.StartAgain{StartCall: start}
	}
	w.send("caller", w.userAt(r.node, r.user), &user.Command{Asker: r, Do: do})
	return true
}

// found tells a user actor whether a call has ended.
func (w *world) found(r read, failed bool) {
	if failed {
		w.stepUser(r.user, user.SeekFailed{Call: r.seek})
		return
	}
	sought := user.Sought{Call: r.seek}
	if c := w.recordOf(r.seek); c != nil && c.ended != 0 {
		call := c.call
		call.LeaseExpiresAt = time.Time{}
		sought.Ended = &call
	}
	w.stepUser(r.user, sought)
}
