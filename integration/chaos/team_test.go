package chaos

import (
	"fmt"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/integration/chaos/model"
	"github.com/dibs-calls/dibs/messages"
)

// entry is a request and what became of it, as it was recorded.
type entry struct {
	kind          model.Kind
	process       int
	user, client  int             // of the team
	call          messages.CallID // named by the request
	token         int64           // named by the request
	key           string          // the idempotency key; empty: none
	sent, settled time.Duration   // since the clock began; settled only with a verdict

	verdict model.Verdict
	held    messages.Call   // of the answer
	by      messages.UserID // of the answer; zero: nobody
	// tries are those that brought no answer, for people who look for the reason
	// of a violation.
	tries []try
}

// try is a request that a node did not answer, or with what is no answer.
type try struct {
	node     int
	sent, at time.Duration
	what     outcome
	code     messages.Code
}

// String says an entry in a line.
func (e *entry) String() string {
	text := fmt.Sprintf("%v by user %d about client %d (call %v, key %q), sent at %v: %v", e.kind, e.user, e.client, e.call, e.key, e.sent, e.verdict)
	if !e.held.IsZero() {
		text += fmt.Sprintf(", call %v token %d", e.held.ID, e.held.Token)
	}
	for _, t := range e.tries {
		text += fmt.Sprintf("; node %d, %v to %v: %v %s", t.node+1, t.sent, t.at, t.what, t.code)
	}
	return text
}

// team is a few users and clients who have to do with each other alone, and the
// history of all that was asked about them.
type team struct {
	number  int
	users   [model.Size]messages.UserID
	clients [model.Size]messages.ClientID

	mu      sync.Mutex
	entries []entry                // guarded by mu
	known   []messages.Call        // guarded by mu: calls that somebody was told of, the latest last
	open    map[[2]int]bool        // guarded by mu: pairs of a start without a key that was not answered yet, or never
	expect  map[string]expectation // guarded by mu: answered requests, by key
}

// expectation is what a request was answered, and must be answered again.
type expectation struct {
	request request
	reply   reply
}

func newTeam(number int) *team {
	return &team{number: number, open: map[[2]int]bool{}, expect: map[string]expectation{}}
}

// record keeps an entry.
func (m *team) record(e entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = append(m.entries, e)
	if e.verdict == model.Done && e.kind == model.Start {
		m.known = append(m.known, e.held)
	}
	if e.kind == model.Start && e.key == "" && e.verdict != model.Unknown {
		delete(m.open, [2]int{e.user, e.client})
	}
}

// mayStartWithoutKey reserves a pair for a start without a key. There is never a
// second one of the same pair while the outcome of the first is not known: so
// what the store has at the end says which of them made which call.
func (m *team) mayStartWithoutKey(user, client int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	pair := [2]int{user, client}
	if m.open[pair] {
		return false
	}
	m.open[pair] = true
	return true
}

// notDone forgets a start that was refused because of a fault.
func (m *team) notDone(user, client int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, [2]int{user, client})
}

// lastKnown returns the call that somebody was told of nth from the end; false:
// there were not as many.
func (m *team) lastKnown(nth int) (messages.Call, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if nth >= len(m.known) {
		return messages.Call{}, false
	}
	return m.known[len(m.known)-1-nth], true
}

func (m *team) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}

// userIndex returns which user of the team has an id.
func (m *team) userIndex(id messages.UserID) int {
	for i, u := range m.users {
		if u == id {
			return i
		}
	}
	if id.IsZero() {
		return model.Nobody
	}
	return model.Stranger
}

// clientIndex returns which client of the team has an id.
func (m *team) clientIndex(id messages.ClientID) int {
	for i, c := range m.clients {
		if c == id {
			return i
		}
	}
	return model.Stranger
}
