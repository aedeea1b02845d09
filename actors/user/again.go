package user

import "github.com/dibs-calls/dibs/messages"

// StartAgain is a start of which an earlier try may have had its effect: its answer was
// lost with the node that carried it out, or nobody knows what became of its commit. That
// try is over, and nothing can come of it any more that has not come yet.
//
// The id of the call is what it is known by. If that call is in progress, or was and has
// ended, the start has had its effect, and the answer is the first one; else it is carried
// out now. To refuse it without having looked would deny a call that there was.
type StartAgain struct{ messages.StartCall }

// Seek asks whether a call has ended; [Sought] or [SeekFailed] must follow.
type Seek struct{ Call messages.CallID }

// Sought is what the store has of a call that has ended; nil: it has ended none of that
// id. The end of its lease is not kept.
type Sought struct {
	Call  messages.CallID
	Ended *messages.Call
}

// SeekFailed says that the store could not be read.
type SeekFailed struct{ Call messages.CallID }

func (t *turn) startAgain(c Command, do StartAgain) {
	if t.held != nil && t.held.ID == do.Call {
		t.answerFromMemory(c, do.Key, messages.Answer{Call: t.call()})
		return
	}
	t.becomeSeeking(c)
}

func (t *turn) seeking(m Message) {
	do, _ := t.work.command.Do.(StartAgain)
	switch m := m.(type) {
	case Sought:
		if m.Call == do.Call {
			t.sought(do, m.Ended)
		}
	case SeekFailed:
		if m.Call == do.Call {
			t.becomeResting(Seeking)
			t.settle(messages.Answer{Code: messages.CodeOutcomeUnknown})
		}
	case GiveUp:
		if m.Asker != t.work.command.Asker {
			t.meanwhile(m)
			return
		}
		t.becomeResting(Seeking)
		t.finish()
		t.next()
	default:
		t.meanwhile(m)
	}
}

// sought goes on with a start when it is known whether its call has ended.
func (t *turn) sought(do StartAgain, ended *messages.Call) {
	t.becomeResting(Seeking)
	if ended != nil {
		call, lease := *ended, do.Lease
		if lease == 0 {
			lease = messages.DefaultLease
		}
		call.LeaseExpiresAt = call.StartedAt.Add(lease) // as it was told first
		t.settle(messages.Answer{Call: &call})
		return
	}
	c := t.finish()
	c.Do = do.StartCall
	t.begin(c)
	t.next()
}
