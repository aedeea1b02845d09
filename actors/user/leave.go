package user

import "github.com/dibs-calls/dibs/messages"

// AtRest reports whether the actor may be stopped because it is to live elsewhere:
// nobody waits for it, and nothing that it began is under way.
func (s State) AtRest() bool {
	return s.work == nil && !s.Writing() && len(s.queue) == 0 && len(s.asked) == 0
}

// leave gives back what was not begun. A commit under way goes on, and so do the
// questions that wait for it; others are left to the store's index.
func (t *turn) leave(a messages.Answer) {
	for _, c := range t.queue {
		t.reply(c, a)
	}
	t.queue = nil
	if t.phase == Reserving {
		claim := t.work.write
		t.toClient(messages.Withdraw{Client: claim.Client, Call: claim.Call})
		t.becomeResting(Reserving)
		t.reply(t.finish(), a)
	}
	if t.phase == Seeking {
		t.becomeResting(Seeking)
		t.reply(t.finish(), a)
	}
	if t.work != nil || t.Writing() {
		return
	}
	for _, q := range t.asked {
		t.toClient(messages.HolderSays{Client: q.Client, Call: q.Call, Serial: q.Serial, Is: messages.StandingUnsure})
	}
	t.asked = nil
}

// unwanted takes back a reservation that nobody here waits for: its withdrawal may have
// been lost, or have overtaken it.
func (t *turn) unwanted(m messages.Reserved) {
	under := t.work != nil && t.work.write != nil && t.work.write.Call == m.Call
	held := t.held != nil && t.held.ID == m.Call
	if !under && !held && !m.Client.IsZero() {
		t.toClient(messages.Withdraw{Client: m.Client, Call: m.Call})
	}
}
