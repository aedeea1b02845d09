package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dibs-calls/dibs/integration/chaos/model"
	"github.com/dibs-calls/dibs/messages"
)

// caller sends one request after the other about a team. It is one goroutine.
type caller struct {
	process int
	api     *api
	book    *book
	team    *team
	dice    *rand.Rand
	run     int64 // of the deployment, in this test
	keys    int   // used so far
	avoid   int   // the node that did not answer last
}

const (
	// keyedFor is how long a request with a key is tried again.
	keyedFor = 6 * time.Second
	// plainFor is how long one without is, as long as nothing was done.
	plainFor = 3 * time.Second

	shortLease = 2 // seconds; so short that calls end by it
	longLease  = 60
)

// step asks for something.
func (c *caller) step(ctx context.Context) {
	user, client := c.dice.IntN(model.Size), c.dice.IntN(model.Size)
	switch p := c.dice.IntN(100); {
	case p < 40:
		c.start(ctx, user, client)
	case p < 68:
		c.end(ctx, user)
	case p < 80:
		c.renew(ctx)
	case p < 97:
		c.available(ctx, client)
	default:
		c.again(ctx)
	}
}

func (c *caller) start(ctx context.Context, user, client int) {
	e := entry{kind: model.Start, user: user, client: client}
	if c.dice.IntN(2) == 0 || !c.team.mayStartWithoutKey(user, client) {
		e.key = c.newKey()
	}
	lease := int64(longLease)
	if c.dice.IntN(5) == 0 {
		lease = shortLease
	}
	what := change{
		Action: "start_call", UserID: c.team.users[user].String(), ClientID: c.team.clients[client].String(), Lease: lease,
	}
	if !c.send(ctx, &e, what.request(e.key)) && e.key == "" {
		c.team.notDone(user, client)
	}
}

// end ends a call that somebody was told of, or whichever a user is on.
func (c *caller) end(ctx context.Context, user int) {
	e := entry{kind: model.End, user: user}
	what := change{Action: "end_call"}
	if call, ok := c.team.lastKnown(c.dice.IntN(4)); ok && c.dice.IntN(10) < 7 {
		e.user, e.call = c.team.userIndex(call.UserID), call.ID
		what.CallID = call.ID.String()
	}
	what.UserID = c.team.users[e.user].String()
	if c.dice.IntN(4) == 0 {
		e.key = c.newKey()
	}
	c.send(ctx, &e, what.request(e.key))
}

// renew renews a call that somebody was told of: mostly a late one, now and then
// one that is over, or with a token that is not its own.
func (c *caller) renew(ctx context.Context) {
	call, ok := c.team.lastKnown(c.dice.IntN(3))
	if !ok {
		return
	}
	e := entry{kind: model.Renew, user: c.team.userIndex(call.UserID), call: call.ID, token: call.Token}
	if c.dice.IntN(4) == 0 {
		e.token += int64(1 - 2*c.dice.IntN(2)*min(1, int(call.Token-1))) // one more or, where there is, one less
	}
	what := change{Action: "renew_call", UserID: call.UserID.String(), CallID: call.ID.String(), Token: e.token}
	c.send(ctx, &e, what.request(""))
}

func (c *caller) available(ctx context.Context, client int) {
	e := entry{kind: model.Available, client: client}
	c.send(ctx, &e, request{method: http.MethodGet, path: "/api/clients/" + c.team.clients[client].String() + "/availability"})
}

func (c *caller) newKey() string {
	c.keys++
	return fmt.Sprintf("chaos-%d-%d-%d-%d", c.run, c.team.number, c.process, c.keys)
}

// send sends a request until it is answered, or until its outcome cannot be
// known, and records what became of it. One with a key is tried again at other
// nodes; false: certainly nothing was done, and nothing is recorded.
func (c *caller) send(ctx context.Context, e *entry, r request) bool {
	e.process, e.sent = c.process, c.book.now()
	limit := plainFor
	if r.key != "" {
		limit = keyedFor
	}
	doubt := false
	for {
		node, sent := c.node(), c.book.now()
		answer, what, err := c.api.try(ctx, node, r)
		c.book.defect(err)
		switch what {
		case answered:
			c.avoid = -1
			e.settled = c.book.now()
			c.book.defect(e.answered(answer))
			c.book.acknowledged(e)
			c.team.record(*e)
			c.remember(e, r, answer)
			return true
		case lost:
			doubt = true
		}
		e.tries = append(e.tries, try{node, sent, c.book.now(), what, answer.Code})
		c.avoid = node
		if doubt && r.key == "" || c.book.now()-e.sent > limit || !pause(ctx, 50*time.Millisecond) {
			break
		}
	}
	if doubt {
		c.book.lost.Add(1)
		c.team.record(*e)
	} else {
		c.book.refused.Add(1)
	}
	return doubt
}

// node chooses one, and not the one that did not answer last.
func (c *caller) node() int {
	if len(c.api.urls) == 1 {
		return 0
	}
	for {
		if n := c.dice.IntN(len(c.api.urls)); n != c.avoid {
			return n
		}
	}
}

// answered reads an answer into the entry.
func (e *entry) answered(r reply) error {
	switch {
	case e.kind == model.Available:
		if r.Available == nil || *r.Available == (r.Caller != nil) {
			return fmt.Errorf("an availability says neither yes nor no: %+v", r)
		}
		e.verdict = model.Done
		if r.Caller != nil {
			e.by = r.Caller.ID
		}
	case r.Status == http.StatusOK:
		e.verdict = model.Done
		if r.Call != nil {
			e.held = *r.Call
		}
		if e.kind == model.Start && (r.Call == nil || r.Call.IsZero()) {
			return fmt.Errorf("a start without a call: %+v", r)
		}
	case r.Code == messages.CodeUserOnCall && r.Call != nil:
		e.verdict, e.held = model.UserOnCall, *r.Call
	case r.Code == messages.CodeClientBeingCalled && r.Caller != nil:
		e.verdict, e.by = model.ClientBeingCalled, r.Caller.ID
	case r.Code == messages.CodeCallOver:
		e.verdict = model.CallOver
	default:
		return fmt.Errorf("an answer that says nothing: %+v", r)
	}
	return nil
}

// remember keeps an answer that a key must bring again.
func (c *caller) remember(e *entry, r request, answer reply) {
	if e.key == "" {
		return
	}
	c.team.mu.Lock()
	defer c.team.mu.Unlock()
	c.team.expect[e.key] = expectation{r, answer}
}

// again sends a request with a key that was answered before, anywhere, whatever
// has happened since: it is answered as it was (I8).
func (c *caller) again(ctx context.Context) {
	c.team.mu.Lock()
	var before expectation
	for _, before = range c.team.expect { // any
		break
	}
	c.team.mu.Unlock()
	if before.request.key == "" {
		return
	}
	now, what, err := c.api.try(ctx, c.node(), before.request)
	c.book.defect(err)
	if what != answered {
		return
	}
	c.book.repeated.Add(1)
	if !now.sameAs(before.reply) {
		c.book.defect(fmt.Errorf("I8: key %s was answered %+v, and is now answered %+v", before.request.key, before.reply, now))
	}
}

// sameAs compares what makes answers the same.
func (r reply) sameAs(o reply) bool {
	sameCall := (r.Call == nil) == (o.Call == nil) && (r.Call == nil || r.Call.ID == o.Call.ID && r.Call.Token == o.Call.Token)
	sameCaller := (r.Caller == nil) == (o.Caller == nil) && (r.Caller == nil || r.Caller.ID == o.Caller.ID)
	return r.Status == o.Status && r.Code == o.Code && sameCall && sameCaller
}

// pause lets time pass between two requests; false: ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// book is what all callers of a deployment write to, on one clock.
type book struct {
	begun time.Time // with its monotonic reading

	starts, ends, renewals, reads atomic.Int64 // answered
	conflicts                     atomic.Int64 // of them: refused as the rules are
	lost, refused, repeated       atomic.Int64

	defects defects
	notes   defects // what is worth knowing and no defect
}

func newBook() *book { return &book{begun: time.Now()} }

func (b *book) now() time.Duration { return time.Since(b.begun) }

func (b *book) defect(err error) {
	if err != nil {
		b.defects.add(err.Error())
	}
}

func (b *book) note(text string) { b.notes.add(text) }

func (b *book) acknowledged(e *entry) {
	switch e.kind {
	case model.Start:
		b.starts.Add(1)
	case model.End:
		b.ends.Add(1)
	case model.Renew:
		b.renewals.Add(1)
	default:
		b.reads.Add(1)
	}
	if e.verdict != model.Done {
		b.conflicts.Add(1)
	}
}
