package client

import (
	"fmt"
	"slices"

	"github.com/dibs-calls/dibs/messages"
)

// The transitions. Each asserts the phases that it may come from; a panic here
// is a defect of this package, and the shell starts over.

func (t *turn) becomeReserved(user messages.UserID, call messages.CallID) {
	t.from(Free)
	t.looking = 0 // what a read says now may be older than this claim
	t.mergeCrowd()
	t.phase, t.holder = Reserved, &holder{user: user, call: call, since: t.now}
	t.toUser(messages.Reserved{User: user, Call: call, Client: t.Client})
}

func (t *turn) becomeHeld(claim messages.HeldClaim) {
	t.from(Free, Reserved, Held)
	t.phase, t.verified, t.looking = Held, false, 0
	t.holder = &holder{user: claim.UserID, call: claim.ID, held: claim}
	t.mergeCrowd()
}

// becomeFree forgets the holder. verified says whether it is known that the
// store has no claim on the client either.
func (t *turn) becomeFree(verified bool) {
	t.from(Reserved, Held)
	t.phase, t.verified, t.holder = Free, verified && !t.Shared && !t.Distant, nil
}

// mergeCrowd lets all wait for the next question: the one under way, about an
// earlier state of affairs, serves nobody now.
func (t *turn) mergeCrowd() {
	if t.crowd != nil {
		t.setCrowd(crowd{waiting: lineOf(t.crowd.everybody())})
	}
}

func (t *turn) from(allowed ...Phase) {
	if !slices.Contains(allowed, t.phase) {
		panic(fmt.Sprintf("client: transition from phase %v, want one of %v", t.phase, allowed))
	}
}
