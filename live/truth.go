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
	// UserStatuses returns every active user (onCallOnly: those on a call), in
	// any order. Only who they are is used, not their calls.
	UserStatuses(ctx context.Context, onCallOnly bool) ([]messages.UserStatus, error)
	// CallsInProgress returns all calls in progress, those of disabled users
	// too, in no order.
	CallsInProgress(ctx context.Context) ([]messages.LiveCall, error)
}

// touched is who was heard of while the truth was being read: of them, what was
// read says nothing.
type touched struct {
	users   map[messages.UserID]bool
	clients map[messages.ClientID]bool
}

func newTouched() *touched {
	return &touched{users: map[messages.UserID]bool{}, clients: map[messages.ClientID]bool{}}
}

// add does nothing to nil: nobody is reading the truth.
func (t *touched) add(c messages.Call) {
	if t != nil {
		t.users[c.UserID], t.clients[c.ClientID] = true, true
	}
}

func (t *touched) has(c messages.Call) bool { return t.users[c.UserID] || t.clients[c.ClientID] }

// drift is by how much the model differed from the truth.
type drift struct {
	missing int // calls in progress that the model did not know
	over    int // calls that the model still showed
}

func (d drift) sum() int { return d.missing + d.over }

// correct makes the state equal to what was read, except for what was touched,
// and returns what that changed about calls. Calls that are found to be over
// ended at an unknown time; at is said of them.
func (s *state) correct(users []messages.UserStatus, calls []messages.LiveCall, since *touched, at time.Time) ([]messages.Event, drift) {
	s.correctUsers(users, since)
	var (
		changes []messages.Event
		d       drift
		real    = make(map[messages.CallID]bool, len(calls))
	)
	for _, c := range calls {
		real[c.Call.ID] = true
	}
	for _, p := range s.holders {
		if c := p.call.Call; !real[c.ID] && !since.has(c) {
			changes = append(changes, s.end(p, at))
			d.over++
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
		if s.refresh(c) {
			continue
		}
		s.over.forget(c.Call.ClientID)
		s.begin(c)
		changes = append(changes, messages.Event{
			ID: messages.EventID(c.Call.ID, messages.EventCallStarted), Type: messages.EventCallStarted,
			At: c.Call.StartedAt, Call: c.Call, User: c.User, Client: c.Client,
		})
		d.missing++
	}
	if horizon := newest.Add(-commitMargin); horizon.After(s.horizon) {
		s.horizon = horizon
	}
	return changes, d
}

// refresh takes over what changes about a call that is known without an event:
// its lease, names. It reports whether the call is known.
func (s *state) refresh(c messages.LiveCall) (known bool) {
	p := s.holders[c.Call.ClientID]
	if p == nil || p.call.Call.ID != c.Call.ID {
		return false
	}
	shown := p.call.Client != c.Client
	if shown || p.call.User != c.User || !p.call.Call.LeaseExpiresAt.Equal(c.Call.LeaseExpiresAt) {
		p.call = &c
	}
	if shown {
		s.changed(p)
	}
	return true
}

// correctUsers takes over who is an active user and how they are called. Who
// started a call meanwhile was made meanwhile, perhaps, and stays.
func (s *state) correctUsers(users []messages.UserStatus, since *touched) {
	active := make(map[messages.UserID]bool, len(users))
	for _, u := range users {
		active[u.ID] = true
		p := s.people[u.ID]
		if p == nil {
			p = &person{slot: -1}
			s.people[u.ID] = p
		}
		if p.user == u.User && p.listed {
			continue
		}
		p.user, p.listed = u.User, true
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
