package integration

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// agent is what one user was told, request after request. It is used by one
// goroutine at a time: its worker while there is load, the test in between.
type agent struct {
	user messages.UserID
	// call is the call that the user is on as far as acknowledged, nil if none.
	call *claim
	// doubt is the request that was sent and never answered; its outcome may be
	// either. It is nil if the last request was answered.
	doubt *harness.Change
}

// ledger is what the server acknowledged, to anybody. It is shared by all
// workers.
type ledger struct {
	mu     sync.Mutex
	begun  map[messages.CallID]claim
	ended  map[messages.CallID]bool
	tokens map[messages.ClientID]int64 // the highest acknowledged

	acknowledged atomic.Int64 // starts and ends
}

func newLedger() *ledger {
	return &ledger{begun: map[messages.CallID]claim{}, ended: map[messages.CallID]bool{}, tokens: map[messages.ClientID]int64{}}
}

// started notes an acknowledged start. The user has not sent its end yet, so
// whoever gets the client next is noted later: tokens must rise (I6).
func (l *ledger) started(t *testing.T, c claim) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.token <= l.tokens[c.client] {
		t.Errorf("I6 is broken: client %s got token %d after %d", c.client, c.token, l.tokens[c.client])
	}
	l.begun[c.call] = c
	l.tokens[c.client] = max(c.token, l.tokens[c.client])
	l.acknowledged.Add(1)
}

func (l *ledger) finished(id messages.CallID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended[id] = true
	l.acknowledged.Add(1)
}

// load has every agent start and end calls with random clients until stop is
// closed or the server is gone. dying tells that the server is being stopped:
// from then on requests may fail.
type load struct {
	*ledger
	clients []messages.ClientID
	api     *harness.Client
	dying   *atomic.Bool
}

// run returns when all agents have stopped.
func (l load) run(ctx context.Context, t *testing.T, agents []*agent) {
	var workers sync.WaitGroup
	for _, a := range agents {
		workers.Go(func() {
			for ctx.Err() == nil && l.step(t, a) {
			}
		})
	}
	workers.Wait()
}

// step sends one request for the agent and notes what was answered; false: the
// agent cannot go on.
func (l load) step(t *testing.T, a *agent) bool {
	change := harness.Change{UserID: a.user.String(), Action: "end_call"}
	if a.call == nil {
		change.Action, change.ClientID = "start_call", l.clients[rand.IntN(len(l.clients))].String()
	} else {
		change.CallID = a.call.call.String()
	}
	a.doubt = &change
	r, err := l.api.Put(context.Background(), change)
	if err != nil || r.Status >= http.StatusInternalServerError {
		if !l.dying.Load() {
			t.Errorf("%s: %v, status %d: %s", change.Action, err, r.Status, r.Raw)
		}
		return false
	}
	a.doubt = nil
	switch {
	case change.Action == "end_call" && r.Status == http.StatusOK:
		l.finished(a.call.call)
		a.call = nil
	case change.Action == "start_call" && r.Status == http.StatusOK:
		a.call = &claim{a.user, r.Call.ClientID, r.Call.ID, r.Call.Token}
		l.started(t, *a.call)
	case r.Status == http.StatusConflict && r.Code == messages.CodeClientBeingCalled:
	default:
		t.Errorf("%s by %s: status %d: %s", change.Action, a.user, r.Status, r.Raw)
		return false
	}
	return true
}

// settle compares what an agent was told with what is on stable storage, and
// lets it go on from there. It reports what I3 forbids.
func (a *agent) settle(t *testing.T, l *ledger, stored map[messages.UserID]claim) {
	got, onCall := stored[a.user]
	if onCall && l.ended[got.call] {
		t.Errorf("I3 is broken: the end of call %s was acknowledged, and it is in progress", got.call)
	}
	switch {
	case a.call != nil && onCall && got == *a.call:
	case a.call != nil && !onCall && a.doubt != nil: // the end was carried out
	case a.call != nil:
		t.Errorf("I3 is broken: the start of %+v was acknowledged; the store has %+v", *a.call, got)
	case onCall && (a.doubt == nil || got.client.String() != a.doubt.ClientID):
		t.Errorf("user %s is on a call that they never asked for: %+v", a.user, got)
	case onCall: // the start was carried out
		l.started(t, got)
	}
	a.call, a.doubt = nil, nil
	if onCall {
		a.call = &got
	}
}
