package simulation

import (
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
