package live

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Truth is the store as the model needs it. Both methods return what was
// committed before they were called, and may return what was committed while
// they ran; each alone is one consistent read.
type Truth interface {
	// ActiveUsers returns everybody whose account is not disabled, in no order.
	ActiveUsers(ctx context.Context) ([]messages.User, error)
	// CallsInProgress returns all calls in progress, those of disabled users
	// too, in no order.
	CallsInProgress(ctx context.Context) ([]messages.LiveCall, error)
}

// touched is what became known while the truth was being read, and counts more
// than what was read. News alone touches: old news says nothing of what came
// after it, and a backlog of it must not keep the truth out.
type touched struct {
	users   map[messages.UserID]bool // began a call
	clients map[messages.ClientID]bool
	over    map[messages.ClientID]int64 // up to which token their calls have ended
}

func newTouched() *touched {
	return &touched{users: map[messages.UserID]bool{}, clients: map[messages.ClientID]bool{}, over: map[messages.ClientID]int64{}}
}

// add takes an event and what it changed. It does nothing to nil: nobody is
// reading the truth.
func (t *touched) add(e *messages.Event, changes []messages.Event) {
	switch {
	case t == nil:
	case e.Type == messages.EventCallEnded:
		t.over[e.Call.ClientID] = max(t.over[e.Call.ClientID], e.Call.Token)
	case len(changes) > 0:
		t.addCall(e.Call)
	}
}

// addCall keeps the truth from saying anything of those who are on a call.
func (t *touched) addCall(c messages.Call) {
	if t != nil {
		t.users[c.UserID], t.clients[c.ClientID] = true, true
	}
}

// has reports whether more is known of a call than the truth can say.
func (t *touched) has(c messages.Call) bool {
	return t.users[c.UserID] || t.clients[c.ClientID] || t.over[c.ClientID] >= c.Token
}

// drift is by how much the model differed from the truth.
type drift struct {
	missing int // calls in progress that the model did not know
	over    int // calls that the model still showed
}

func (d drift) sum() int { return d.missing + d.over }

// correction is what correct changed about calls.
type correction struct {
	changes []messages.Event
	renamed []messages.LiveCall // go on, and show other names
	drift   drift
}

// correct makes the state equal to what was read, except for what was touched.
// Calls that are found to be over ended at an unknown time; at is said of them.
func (s *state) correct(users []messages.User, calls []messages.LiveCall, since *touched, at time.Time) (made correction) {
	s.correctUsers(users, since)
	real := make(map[messages.CallID]bool, len(calls))
	for _, c := range calls {
		real[c.Call.ID] = true
	}
	for _, p := range s.holders {
		if c := p.call.Call; !real[c.ID] && !since.has(c) {
			made.changes = append(made.changes, s.end(p, at))
			made.drift.over++
		}
	}
	var newest time.Time
	for _, c := range calls {
		if c.Call.StartedAt.After(newest) {
			newest = c.Call.StartedAt
		}
		if since.has(c.Call) {
			continue
		}
		if known, renamed := s.refresh(c); known {
			if renamed {
				made.renamed = append(made.renamed, c)
			}
			continue
		}
		s.over.forget(c.Call.ClientID)
		s.begin(c)
		made.changes = append(made.changes, messages.Event{
			ID: messages.EventID(c.Call.ID, messages.EventCallStarted), Type: messages.EventCallStarted,
			At: c.Call.StartedAt, Call: c.Call, User: c.User, Client: c.Client,
		})
		made.drift.missing++
	}
	if horizon := newest.Add(-commitMargin); horizon.After(s.horizon) {
		s.horizon = horizon
	}
	return made
}

// refresh takes over what changes about a call that is known without an event:
// its lease, names. It reports whether the call is known, and whether it shows
// other names now.
func (s *state) refresh(c messages.LiveCall) (known, renamed bool) {
	p := s.holders[c.Call.ClientID]
	if p == nil || p.call.Call.ID != c.Call.ID {
		return false, false
	}
	client, user := p.call.Client != c.Client, p.call.User != c.User
	if client || user || !p.call.Call.LeaseExpiresAt.Equal(c.Call.LeaseExpiresAt) {
		p.call = &c
	}
	if client {
		s.changed(p)
	}
	return true, client || user
}

// correctUsers takes over who is an active user and how they are called. Who
// started a call meanwhile was made meanwhile, perhaps, and stays.
func (s *state) correctUsers(users []messages.User, since *touched) {
	active := make(map[messages.UserID]bool, len(users))
	for _, u := range users {
		active[u.ID] = true
		p := s.people[u.ID]
		if p == nil {
			p = &person{slot: -1}
			s.people[u.ID] = p
		}
		if p.user == u && p.listed {
			continue
		}
		p.user, p.listed = u, true
		s.reorder = true
		s.changed(p)
	}
	for id, p := range s.people {
		if active[id] || !p.listed || since.users[id] {
			continue
		}
		p.listed, p.slot = false, -1
		s.reorder = true
		s.version++
		if p.call == nil {
			delete(s.people, id)
		}
	}
}
