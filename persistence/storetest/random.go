package storetest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/go-cmp/cmp"
)

// model is what the store must hold, kept beside it batch by batch. It does
// not foresee who of several wins (the contract leaves that open); it holds
// every outcome to what was in progress before and after.
type model struct {
	users    []messages.User
	clients  []messages.Client
	byUser   map[messages.UserID]messages.Call
	byClient map[messages.ClientID]messages.Call
	ended    []messages.Call
	token    map[messages.ClientID]int64
}

func batchRandom(t *testing.T, s persistence.Store) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	m := &model{
		users: addUsers(t, s, 7), clients: addClients(t, s, 5),
		byUser:   map[messages.UserID]messages.Call{},
		byClient: map[messages.ClientID]messages.Call{},
		token:    map[messages.ClientID]int64{},
	}
	for range unlessShort(250, 60) {
		batch := m.batch(r)
		m.apply(t, batch, commit(t, s, batch...))
		m.compare(t, s)
	}
}

// batch makes up writes, sensible ones and stale ones.
func (m *model) batch(r *rand.Rand) []messages.Write {
	batch := make([]messages.Write, 1+r.IntN(16))
	for i := range batch {
		u, c := m.users[r.IntN(len(m.users))], m.clients[r.IntN(len(m.clients))]
		call, onCall := m.byUser[u.ID]
		if len(m.ended) > 0 && r.IntN(8) == 0 {
			call, onCall = m.ended[r.IntN(len(m.ended))], true
		}
		switch kind := r.IntN(4); {
		case kind == 0 && onCall:
			batch[i] = renewalOf(call, time.Duration(1+r.IntN(100))*time.Minute, time.Minute)
		case kind <= 2 && onCall:
			batch[i] = releaseOf(call)
		default:
			batch[i] = claimOf(u, c)
		}
	}
	return batch
}

// apply takes the outcomes phase by phase, as the contract orders them.
func (m *model) apply(t *testing.T, batch []messages.Write, outcomes []messages.Outcome) {
	t.Helper()
	m.applyReleases(t, batch, outcomes)
	m.applyRenewals(t, batch, outcomes)
	before := make(map[messages.UserID]bool, len(m.byUser))
	for id := range m.byUser {
		before[id] = true
	}
	for i, w := range batch {
		if w.Kind == messages.WriteClaim && outcomes[i].Kind == messages.OutcomeDone {
			m.begin(t, outcomes[i].Call)
		}
	}
	for i, w := range batch {
		if w.Kind == messages.WriteClaim && outcomes[i].Kind != messages.OutcomeDone {
			m.checkRefusal(t, w, outcomes[i], before[w.User])
		}
	}
}

func (m *model) applyReleases(t *testing.T, batch []messages.Write, outcomes []messages.Outcome) {
	t.Helper()
	dones := map[messages.CallID]int{}
	asked := map[messages.CallID]bool{}
	for i, w := range batch {
		if w.Kind != messages.WriteRelease {
			continue
		}
		asked[w.Call] = true
		if outcomes[i].Kind == messages.OutcomeDone {
			dones[w.Call]++
		} else {
			wantKind(t, outcomes[i], messages.OutcomeCallOver)
		}
	}
	for id := range asked {
		call, live := m.find(id)
		if want := map[bool]int{true: 1}[live]; dones[id] != want {
			t.Fatalf("I5: %d releases of call %s are Done, want %d", dones[id], id, want)
		}
		if live {
			delete(m.byUser, call.UserID)
			delete(m.byClient, call.ClientID)
			m.ended = append(m.ended, call)
		}
	}
}

func (m *model) applyRenewals(t *testing.T, batch []messages.Write, outcomes []messages.Outcome) {
	t.Helper()
	for i, w := range batch {
		if w.Kind != messages.WriteRenew {
			continue
		}
		call, live := m.find(w.Call)
		if !live {
			wantKind(t, outcomes[i], messages.OutcomeCallOver)
			continue
		}
		wantKind(t, outcomes[i], messages.OutcomeDone)
		call.LeaseExpiresAt = outcomes[i].Call.LeaseExpiresAt
		m.byUser[call.UserID], m.byClient[call.ClientID] = call, call
	}
}

func (m *model) find(id messages.CallID) (messages.Call, bool) {
	for _, call := range m.byUser {
		if call.ID == id {
			return call, true
		}
	}
	return messages.Call{}, false
}

func (m *model) begin(t *testing.T, call messages.Call) {
	t.Helper()
	if other, ok := m.byClient[call.ClientID]; ok {
		t.Fatalf("I1: %+v began while %+v was in progress", call, other)
	}
	if other, ok := m.byUser[call.UserID]; ok {
		t.Fatalf("I2: %+v began while %+v was in progress", call, other)
	}
	if last := m.token[call.ClientID]; call.Token <= last {
		t.Fatalf("I6: token %d after %d", call.Token, last)
	}
	m.byUser[call.UserID], m.byClient[call.ClientID] = call, call
	m.token[call.ClientID] = call.Token
}

// checkRefusal holds a refusal to I4: what it names is in progress now, after
// the batch. A user who was on a call before the claims is told of that.
func (m *model) checkRefusal(t *testing.T, w messages.Write, o messages.Outcome, userFirst bool) {
	t.Helper()
	named, ok := m.byUser[w.User]
	if o.Kind == messages.OutcomeClientHeld {
		named, ok = m.byClient[w.Client]
	}
	switch {
	case o.Kind != messages.OutcomeUserHeld && o.Kind != messages.OutcomeClientHeld:
		t.Fatalf("a claim of a user and a client that exist is %s", outcomeName(o.Kind))
	case userFirst && o.Kind != messages.OutcomeUserHeld:
		t.Fatalf("the user was on a call, and the claim is %s", outcomeName(o.Kind))
	case !ok || named.ID != o.Call.ID:
		t.Fatalf("I4: refused as %s for %+v, in progress is %+v", outcomeName(o.Kind), o.Call, named)
	}
}

// compare reads all claims back. Of two renewals in one batch either may be
// the last, so the lease is taken from the store; renewTwice has its own test.
func (m *model) compare(t *testing.T, s persistence.Store) {
	t.Helper()
	users := make([]messages.UserID, len(m.users))
	for i, u := range m.users {
		users[i] = u.ID
	}
	claims, err := s.ClaimsOfUsers(t.Context(), users)
	noError(t, err)
	got := make(map[messages.UserID]messages.Call, len(claims))
	for _, h := range claims {
		got[h.UserID] = h.Call
		want := m.byUser[h.UserID]
		want.LeaseExpiresAt = h.LeaseExpiresAt
		if want.ID == h.ID {
			m.byUser[h.UserID], m.byClient[h.ClientID] = want, want
		}
	}
	if diff := cmp.Diff(m.byUser, got); diff != "" {
		t.Fatalf("claims (-want +got):\n%s", diff)
	}
}
