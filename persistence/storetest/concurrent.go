package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func concurrentPromises() []promise {
	return []promise{
		{"I1: many users claim one client at once, one is Done", concurrentOneClient},
		{"I2: one user claims many clients at once, one is Done", concurrentOneUser},
		{"I5: many release one call at once, one is Done", concurrentReleases},
		{"I1, I2, I4, I5, I6: many committers on few clients and users", concurrentHistory},
		{"A client is deleted or claimed, never both", concurrentDelete},
		{"A user is disabled or starts a call, and both is true to its order", concurrentDisable},
	}
}

// atOnce runs f n times at once and waits for all.
func atOnce(n int, f func(i int)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			f(i)
		})
	}
	close(begin)
	wg.Wait()
}

// commitAtOnce commits each write in a batch of its own, all at once.
func commitAtOnce(t *testing.T, s persistence.Store, writes []messages.Write) []messages.Outcome {
	t.Helper()
	outcomes, errs := make([]messages.Outcome, len(writes)), make([]error, len(writes))
	atOnce(len(writes), func(i int) {
		got, err := s.Commit(t.Context(), writes[i:i+1])
		if errs[i] = err; err == nil {
			outcomes[i] = got[0]
		}
	})
	for i, err := range errs {
		noError(t, err)
		if fault := malformed(writes[i], outcomes[i]); fault != "" {
			t.Fatalf("outcome %d: %s: %+v", i, fault, outcomes[i])
		}
	}
	return outcomes
}

func concurrentOneClient(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 24), addClient(t, s)
	writes := make([]messages.Write, len(users))
	for i, u := range users {
		writes[i] = claimOf(u, c)
	}
	outcomes := commitAtOnce(t, s, writes)
	won := oneOf(t, outcomes, messages.OutcomeDone)
	for i, o := range outcomes {
		if i != won {
			wantKind(t, o, messages.OutcomeClientHeld)
			wantEqual(t, "holder", o.Holder, outcomes[won].Holder)
		}
	}
	wantHeld(t, s, outcomes[won].Call)
}

func concurrentOneUser(t *testing.T, s persistence.Store) {
	u, clients := addUser(t, s), addClients(t, s, 24)
	writes := make([]messages.Write, len(clients))
	for i, c := range clients {
		writes[i] = claimOf(u, c)
	}
	outcomes := commitAtOnce(t, s, writes)
	won := oneOf(t, outcomes, messages.OutcomeDone)
	for i, o := range outcomes {
		if i != won {
			wantKind(t, o, messages.OutcomeUserHeld)
			wantEqual(t, "call", o.Call, outcomes[won].Call)
		}
	}
	wantHeld(t, s, outcomes[won].Call)
}

func concurrentReleases(t *testing.T, s persistence.Store) {
	call := start(t, s, addUser(t, s), addClient(t, s))
	writes := make([]messages.Write, 24)
	for i := range writes {
		writes[i] = releaseOf(call)
	}
	outcomes := commitAtOnce(t, s, writes)
	done := oneOf(t, outcomes, messages.OutcomeDone)
	for i, o := range outcomes {
		if i != done {
			wantKind(t, o, messages.OutcomeCallOver)
		}
	}
	wantFree(t, s, call.UserID, call.ClientID)
}

// history is what was acknowledged, as the committers saw it. A call counts as
// in progress from when its claim was acknowledged to when its release was
// sent; two that overlap in that sense overlapped in the store.
type history struct {
	mu       sync.Mutex
	byUser   map[messages.UserID]messages.CallID
	byClient map[messages.ClientID]messages.CallID
	tokens   map[messages.ClientID]map[int64]messages.CallID
	last     map[messages.ClientID]int64 // the highest token that was acknowledged
	claimed  map[messages.CallID]messages.Call
	ended    map[messages.CallID]int
	faults   []string
}

func (h *history) fault(format string, args ...any) {
	h.faults = append(h.faults, fmt.Sprintf(format, args...))
}

func (h *history) began(call messages.Call, lastSeen int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if other, ok := h.byUser[call.UserID]; ok {
		h.fault("I2: call %s began during %s", call.ID, other)
	}
	if other, ok := h.byClient[call.ClientID]; ok {
		h.fault("I1: call %s began during %s", call.ID, other)
	}
	if h.tokens[call.ClientID] == nil {
		h.tokens[call.ClientID] = map[int64]messages.CallID{}
	}
	if other, ok := h.tokens[call.ClientID][call.Token]; ok {
		h.fault("I6: calls %s and %s have token %d", call.ID, other, call.Token)
	}
	if call.Token <= lastSeen {
		h.fault("I6: token %d was made after %d was acknowledged", call.Token, lastSeen)
	}
	h.byUser[call.UserID], h.byClient[call.ClientID] = call.ID, call.ID
	h.tokens[call.ClientID][call.Token] = call.ID
	h.last[call.ClientID] = max(h.last[call.ClientID], call.Token)
	h.claimed[call.ID] = call
}

// ending is called before a release is sent, ended when it was acknowledged.
func (h *history) ending(call messages.Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.byUser, call.UserID)
	delete(h.byClient, call.ClientID)
}

func (h *history) done(id messages.CallID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended[id]++
}

func (h *history) lastToken(id messages.ClientID) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[id]
}

func (h *history) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault(format, args...)
}

func concurrentHistory(t *testing.T, s persistence.Store) {
	const committers = 12
	rounds := unlessShort(40, 8)
	users, clients := addUsers(t, s, 6), addClients(t, s, 4)
	h := &history{
		byUser:   map[messages.UserID]messages.CallID{},
		byClient: map[messages.ClientID]messages.CallID{},
		tokens:   map[messages.ClientID]map[int64]messages.CallID{},
		last:     map[messages.ClientID]int64{},
		claimed:  map[messages.CallID]messages.Call{},
		ended:    map[messages.CallID]int{},
	}
	atOnce(committers, func(i int) {
		r := rand.New(rand.NewPCG(uint64(i), 7))
		var mine []messages.Call // in progress, begun by this committer
		for range rounds {
			mine = h.round(t.Context(), s, r, users, clients, mine)
		}
	})
	for _, fault := range h.faults {
		t.Error(fault)
	}
	h.compare(t, s, users, clients)
}

// round commits one batch: the release of some of what this committer began,
// and a few claims.
func (h *history) round(
	ctx context.Context, s persistence.Store, r *rand.Rand,
	users []messages.User, clients []messages.Client, mine []messages.Call,
) []messages.Call {
	var batch []messages.Write
	var kept []messages.Call
	for _, call := range mine {
		if r.IntN(3) == 0 {
			kept = append(kept, call)
			batch = append(batch, renewalOf(call, time.Hour, time.Minute))
			continue
		}
		h.ending(call)
		batch = append(batch, releaseOf(call))
	}
	seen := map[messages.ClientID]int64{}
	for range 1 + r.IntN(3) {
		u, c := users[r.IntN(len(users))], clients[r.IntN(len(clients))]
		seen[c.ID] = h.lastToken(c.ID)
		batch = append(batch, claimOf(u, c))
	}
	r.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	outcomes, err := s.Commit(ctx, batch)
	if err != nil || len(outcomes) != len(batch) {
		h.note("a batch of %d failed with %d outcomes: %v", len(batch), len(outcomes), err)
		return kept
	}
	for i, o := range outcomes {
		if fault := malformed(batch[i], o); fault != "" {
			h.note("%s: %+v", fault, o)
		}
		switch {
		case batch[i].Kind == messages.WriteClaim && o.Kind == messages.OutcomeDone:
			h.began(o.Call, seen[o.Call.ClientID])
			kept = append(kept, o.Call)
		case batch[i].Kind == messages.WriteRelease && o.Kind == messages.OutcomeDone:
			h.done(o.Call.ID)
		case batch[i].Kind != messages.WriteClaim && o.Kind != messages.OutcomeDone:
			h.note("%s of the call that nobody else ends is %s", writeName(batch[i].Kind), outcomeName(o.Kind))
		}
	}
	return kept
}

// compare holds what is in the store at the end to what was acknowledged.
func (h *history) compare(t *testing.T, s persistence.Store, users []messages.User, clients []messages.Client) {
	t.Helper()
	ids := make([]messages.UserID, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	claims, err := s.ClaimsOfUsers(t.Context(), ids)
	noError(t, err)
	held := map[messages.CallID]bool{}
	perClient := map[messages.ClientID]int{}
	for _, c := range claims {
		held[c.ID] = true
		if perClient[c.ClientID]++; perClient[c.ClientID] > 1 {
			t.Errorf("I1: client %s is in two calls", c.ClientID)
		}
	}
	for id := range h.claimed {
		if h.ended[id] > 1 {
			t.Errorf("I5: call %s ended %d times", id, h.ended[id])
		}
		if (h.ended[id] == 0) != held[id] {
			t.Errorf("I3: call %s ended %d times, and in progress: %t", id, h.ended[id], held[id])
		}
	}
	if len(h.claimed) < len(clients) {
		t.Errorf("only %d calls began; the test has tested nothing", len(h.claimed))
	}
	for _, c := range claims {
		if _, ok := h.claimed[c.ID]; !ok {
			t.Errorf("call %s is in progress and was never acknowledged", c.ID)
		}
	}
}

func concurrentDelete(t *testing.T, s persistence.Store) {
	users := addUsers(t, s, 3)
	for range unlessShort(20, 5) {
		c := addClient(t, s)
		outcomes := make([]messages.Outcome, len(users))
		var deleted error
		atOnce(len(users)+1, func(i int) {
			if i == len(users) {
				deleted = s.DeleteClient(t.Context(), c.ID, newAudit("client.deleted"))
				return
			}
			got, err := s.Commit(t.Context(), []messages.Write{claimOf(users[i], c)})
			if err == nil {
				outcomes[i] = got[0]
			}
		})
		want := messages.OutcomeNoClient
		if deleted != nil {
			wantCode(t, deleted, messages.CodeClientBeingCalled)
			want = messages.OutcomeClientHeld
			call := outcomes[oneOf(t, outcomes, messages.OutcomeDone)].Call
			wantHeld(t, s, call)
			end(t, s, call)
		} else if h := holderOf(t, s, c.ID); h != nil {
			t.Fatalf("a client that is no more is in call %+v", h)
		}
		for _, o := range outcomes {
			if o.Kind != messages.OutcomeDone {
				wantKind(t, o, want)
			}
		}
	}
}

func concurrentDisable(t *testing.T, s persistence.Store) {
	for range unlessShort(10, 5) {
		u, c := addUser(t, s), addClient(t, s)
		var o messages.Outcome
		errs := make([]error, 2)
		atOnce(2, func(i int) {
			if i == 0 {
				errs[i] = s.DisableUser(t.Context(), u.ID, newAudit("user.disabled"))
				return
			}
			got, err := s.Commit(t.Context(), []messages.Write{claimOf(u, c)})
			if errs[i] = err; err == nil {
				o = got[0]
			}
		})
		noError(t, errs[0])
		noError(t, errs[1])
		if o.Kind == messages.OutcomeDone {
			end(t, s, o.Call)
		}
		wantKind(t, commitOne(t, s, claimOf(u, c)), messages.OutcomeNoUser)
	}
}
