package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/internal/script"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// event is something that can happen next.
type event struct {
	weight int
	can    func() bool
	do     func()
}

func (w *world) events() []event {
	always := func() bool { return true }
	events := []event{
		{40, func() bool { return len(w.order) > 0 }, w.deliver},
		{12, func() bool { return len(w.writes) > 0 }, w.commit},
		{12, func() bool { return len(w.reads) > 0 }, w.read},
		{10, always, w.command},
		{3, always, w.availability},
		{3, always, w.timePasses},
		{2, always, w.giveUp},
	}
	if w.faults {
		events = append(events,
			event{3, func() bool { return len(w.doubts) > 0 }, w.decide},
			event{1, always, w.panicUser},
			event{1, always, w.panicClient},
			event{2, always, w.retire},
		)
	}
	if w.faults && w.distant {
		events = append(events, event{2, always, w.leave}, event{4, always, w.takeOver}, event{2, always, w.die})
	}
	return events
}

// happen makes one random event happen.
func (w *world) happen(events []event) {
	w.step++
	total := 0
	for _, e := range events {
		total += e.weight
	}
	for {
		n := w.rng.IntN(total)
		for _, e := range events {
			if n -= e.weight; n < 0 {
				if e.can() {
					e.do()
					return
				}
				break
			}
		}
	}
}

func (w *world) command() {
	u, c := w.rng.IntN(w.people), w.rng.IntN(w.leads)
	r := &request{user: script.User(u), client: script.Client(c)}
	var key *messages.Key
	if w.rng.IntN(4) == 0 {
		// One of few keys, each for one command: the same key may come again.
		n := w.rng.IntN(5)
		r.key = fmt.Sprintf("u%d-start-%d", u, n)
		r.client = script.Client(n % w.leads)
		key = &messages.Key{Caller: "test", Value: r.key}
	}
	w.calls++
	switch n := w.rng.IntN(10); {
	case n < 5 || key != nil:
		r.do = messages.StartCall{
			User: r.user, Client: r.client, Call: script.Call(w.calls), Key: key,
			Lease: time.Duration(1+w.rng.IntN(20)) * time.Second,
		}
	case n < 8:
		r.do = messages.EndCall{User: r.user, Reason: messages.ReasonCompleted}
	case n < 9:
		r.do = messages.SaveLog{User: r.user, Log: messages.CallLog{ClientID: r.client}}
	default:
		held := w.store.byUser[r.user]
		if held == nil {
			return
		}
		r.client = held.call.ClientID
		r.do = messages.RenewCall{User: r.user, Call: held.call.ID, Token: held.call.Token}
	}
	w.ask(r)
}

func (w *world) availability() {
	w.ask(&request{client: script.Client(w.rng.IntN(w.leads))})
}

// commit lets the store take one write, in one of the ways in which that can
// go.
func (w *world) commit() {
	i := w.rng.IntN(len(w.writes))
	p := w.writes[i]
	if w.blocked(p.write) {
		return // the database makes it wait for the transaction in doubt
	}
	w.writes = slices.Delete(w.writes, i, i+1)
	fate := 9
	if w.faults {
		fate = w.rng.IntN(10)
	}
	var o messages.Outcome
	switch fate {
	case 0: // failed, not applied, and known to be
		o.Kind = messages.OutcomeNotApplied
	case 1: // failed, but applied
		w.store.apply(p.write, w.step, w.now)
		o.Kind = messages.OutcomeUnknown
	case 2: // failed, not applied, but that is not known
		o.Kind = messages.OutcomeUnknown
	case 3: // the connection is gone, the transaction is not
		w.doubts = append(w.doubts, p.write)
		o.Kind = messages.OutcomeUnknown
	default:
		o = w.store.apply(p.write, w.step, w.now)
	}
	w.users[p.user].writing = false
	w.stepUser(p.user, user.Written{Outcome: &o})
}

func (w *world) blocked(p messages.Write) bool {
	return slices.ContainsFunc(w.doubts, func(d messages.Write) bool {
		return d.User == p.User || d.Client == p.Client || d.Key != nil && p.Key != nil && d.Key.Value == p.Key.Value
	})
}

// decide ends a transaction that was in doubt.
func (w *world) decide() {
	i := w.rng.IntN(len(w.doubts))
	d := w.doubts[i]
	w.doubts = slices.Delete(w.doubts, i, i+1)
	if w.rng.IntN(2) == 0 {
		w.store.apply(d, w.step, w.now)
	}
}

// read lets the store answer one read. It does not while anything is in doubt.
func (w *world) read() {
	i := w.rng.IntN(len(w.reads))
	r := w.reads[i]
	w.reads = slices.Delete(w.reads, i, i+1)
	failed := len(w.doubts) > 0 || w.faults && w.rng.IntN(10) == 0
	switch {
	case r.user >= 0:
		if w.users[r.user].incarnation != r.incarnation {
			return
		}
		if !r.seek.IsZero() {
			w.found(r, failed)
			return
		}
		if failed {
			w.stepUser(r.user, user.LoadFailed{})
			return
		}
		w.stepUser(r.user, user.Loaded{Claim: w.store.byUser[w.users[r.user].state.User].held()})
	case failed:
		w.stepClient(r.client, client.LookUpFailed{Serial: r.serial})
	default:
		// The answer may be older than its delivery: it travels.
		w.send("store", fmt.Sprintf("c%d", r.client), client.LookedUp{
			Serial: r.serial, Exists: true, Claim: w.store.byClient[w.clients[r.client].state.Client].held(),
		})
	}
}

func (w *world) timePasses() {
	w.now = w.now.Add(time.Duration(w.rng.IntN(1500)) * time.Millisecond)
	w.remind()
	w.sweep()
}

func (w *world) remind() {
	due := w.reminders
	w.reminders = nil
	for _, r := range due {
		switch {
		case w.now.Before(r.due):
			w.reminders = append(w.reminders, r)
		case r.client < 0:
			w.stepUser(r.user, user.Again{Call: r.again})
		default:
			w.stepClient(r.client, client.Reminder{})
		}
	}
}

func (w *world) sweep() {
	for _, r := range w.store.expired(w.now) {
		w.send("sweeper", w.userAt(w.rng.IntN(w.nodes), r.call.UserID), &user.Command{
			Do: messages.ExpireCall{User: r.call.UserID, Call: r.call.ID, Token: r.call.Token},
		})
	}
}

func (w *world) giveUp() {
	for range 3 {
		if len(w.requests) == 0 {
			return
		}
		r := w.requests[len(w.requests)-1-w.rng.IntN(min(20, len(w.requests)))]
		if r.answered != 0 || r.gaveUp {
			continue
		}
		r.gaveUp = true
		if r.do == nil {
			w.send("caller", w.clientAt(r.node, r.client), client.GiveUp{Asker: r})
		} else {
			w.send("caller", w.userAt(r.node, r.user), user.GiveUp{Asker: r})
		}
		return
	}
}

// panicUser costs an actor its state, as abandon does in the real shell.
func (w *world) panicUser() {
	n := w.rng.IntN(len(w.users))
	u := w.users[n]
	askers, questions := u.state.Waiting()
	u.state, u.incarnation = u.state.Forget(), u.incarnation+1
	if u.writing {
		u.state = u.state.Recover()
	}
	for _, a := range askers {
		if r, ok := a.(*request); ok && r != nil {
			w.answered(r, messages.Answer{Code: messages.CodeOutcomeUnknown})
		}
	}
	for _, q := range questions {
		w.send(fmt.Sprintf("u%d", n), fmt.Sprintf("u%d", n), q)
	}
}

func (c *clientActor) wake() {
	c.incarnation++
	c.state = client.New(c.state.Client, c.incarnation, c.state.Shared)
}

func (w *world) panicClient() {
	n := w.rng.IntN(len(w.clients))
	c := w.clients[n]
	askers, reservations := c.state.Waiting()
	c.wake()
	for _, a := range askers {
		r := a.(*request)
		r.availability.Code = messages.CodeOutcomeUnknown
		w.answered(r, messages.Answer{Code: messages.CodeOutcomeUnknown})
	}
	for _, q := range reservations {
		w.send(fmt.Sprintf("c%d", n), fmt.Sprintf("c%d", n), q)
	}
}

func (w *world) retire() {
	n := w.rng.IntN(len(w.users))
	if u := w.users[n]; u.state.CanStop() {
		u.state, u.incarnation = u.state.Forget(), u.incarnation+1
	}
	n = w.rng.IntN(len(w.clients))
	if c := w.clients[n]; c.state.CanStop() {
		c.wake()
	}
}
