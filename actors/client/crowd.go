package client

import (
	"slices"

	"github.com/dibs-calls/dibs/messages"
)

// everybody returns all who wait, those first whom a question serves.
func (c *crowd) everybody() []waiter { return slices.Concat(c.asked, c.waiting.all()) }

// wait lets w wait.
func (t *turn) wait(w waiter) {
	c := crowd{}
	if t.crowd != nil {
		c = *t.crowd
	}
	if t.Distant && w.asker == nil && slices.ContainsFunc(c.everybody(), func(o waiter) bool { return o.asker == nil && o.call == w.call }) {
		return // the same reservation, which was thought lost
	}
	c.waiting = c.waiting.with(w)
	t.crowd = &c
}

// takeWaiting takes all who wait for the next question.
func (t *turn) takeWaiting() []waiter {
	if t.crowd == nil {
		return nil
	}
	taken := t.crowd.waiting.all()
	t.setCrowd(crowd{asked: t.crowd.asked, askedAt: t.crowd.askedAt, serial: t.crowd.serial})
	return taken
}

// takeAsked takes all whom the question under way serves.
func (t *turn) takeAsked() []waiter {
	if t.crowd == nil {
		return nil
	}
	taken := t.crowd.asked
	t.setCrowd(crowd{waiting: t.crowd.waiting})
	return taken
}

func (t *turn) setCrowd(c crowd) {
	t.crowd = &c
	if c.waiting.n == 0 && len(c.asked) == 0 {
		t.crowd = nil
	}
}

// refuseAll tells all of ws of the committed call that stands in their way.
func (t *turn) refuseAll(ws []waiter) {
	caller := &messages.Caller{
		ID: t.holder.user, Name: t.holder.held.Name, CallStartedAt: t.holder.held.StartedAt,
	}
	t.effects = slices.Grow(t.effects, len(ws)+2)
	for _, w := range ws {
		if w.asker != nil {
			t.emit(Reply{To: w.asker, Availability: messages.Availability{Caller: caller}})
			continue
		}
		t.toUser(messages.Refused{User: w.user, Call: w.call, Caller: caller})
	}
}

// answerChecks gives all of ws, who asked about availability, the same answer.
// Only for a free client, where nobody waits for anything else.
func (t *turn) answerChecks(ws []waiter, a messages.Availability) {
	for _, w := range ws {
		t.emit(Reply{To: w.asker, Availability: a})
	}
}

// admitNext lets the first who waits for the client have it; the others go on
// waiting, for that claim's commit. With none, questions about availability
// are answered. The machine must be free.
func (t *turn) admitNext() {
	if t.crowd == nil {
		return
	}
	all := t.crowd.everybody()
	i := slices.IndexFunc(all, func(w waiter) bool { return w.asker == nil })
	if i >= 0 {
		next := all[i]
		t.setCrowd(crowd{waiting: lineOf(slices.Delete(all, i, i+1))})
		t.becomeReserved(next.user, next.call)
		return
	}
	t.setCrowd(crowd{waiting: lineOf(all)})
	t.lookAgain()
}

// leave drops the reservation that waits for call.
func (t *turn) leave(call messages.CallID) {
	t.dropWaiters(func(w waiter) bool { return w.asker == nil && w.call == call })
}

func (t *turn) dropWaiters(drop func(waiter) bool) {
	if t.crowd == nil {
		return
	}
	t.setCrowd(crowd{
		waiting: lineOf(slices.DeleteFunc(t.crowd.waiting.all(), drop)),
		asked:   slices.DeleteFunc(slices.Clone(t.crowd.asked), drop),
		askedAt: t.crowd.askedAt,
		serial:  t.crowd.serial,
	})
}
