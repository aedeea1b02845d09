package live

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

const (
	// recentlyOver is how many clients' ended calls are remembered at least:
	// some minutes of a large fleet, about 2 MB.
	recentlyOver = 1 << 15
	// commitMargin is longer than a start can be on its way between the store's
	// clock being read for it and its commit.
	commitMargin = 10 * time.Second
)

// person is a user and the call that they are on.
type person struct {
	user   messages.User
	listed bool               // an active account, shown in the list
	call   *messages.LiveCall // nil: none; replaced and never changed, snapshots share it
	slot   int                // the place in state.order; -1: none
	json   []byte             // as the list shows it, a part of its group's text; nil: to be encoded anew
}

// state is users and calls in progress. It is pure: no lock, no clock, no I/O.
type state struct {
	people  map[messages.UserID]*person
	holders map[messages.ClientID]*person // who calls the client; all of them have a call
	over    recent
	// horizon: a start before this that the truth did not show was over by then.
	horizon time.Time
	// doubt: a start before this that the truth did not show was probably over
	// by then, and is for the truth to show. Zero: there is no doubt.
	doubt   time.Time
	doubted bool             // the truth is to be read for such a start
	changes []messages.Event // by the last event: two ends and itself at most

	version uint64       // changes whenever the list of users would say something else
	order   []*person    // those listed, as the list shows them
	reorder bool         // order must be made anew
	dirty   map[int]bool // groups of order with somebody whose json is nil
}

// newState knows nothing; from the stream it takes what began from now on, and for
// the rest the truth.
func newState(now time.Time) *state {
	return &state{doubt: now, people: map[messages.UserID]*person{}, holders: map[messages.ClientID]*person{},
		over: newRecent(recentlyOver), dirty: map[int]bool{}, version: 1}
}

// apply takes an event and returns what it changed: nothing, if it is no news;
// itself; and before it the ends of calls that it shows to be over. An event
// from the stream may be old, even older than the truth; one that this node
// committed is not. What is returned holds until the next event.
func (s *state) apply(e *messages.Event, fromStream bool) []messages.Event {
	c := &e.Call
	s.changes = s.changes[:0]
	switch {
	case c.ID.IsZero() || c.UserID.IsZero() || c.ClientID.IsZero():
	case e.Type == messages.EventCallStarted && !s.late(c, fromStream):
		s.supersede(c, c.StartedAt)
		s.begin(messages.LiveCall{Call: *c, User: e.User, Client: e.Client})
		s.changes = append(s.changes, *e)
	case e.Type == messages.EventCallEnded:
		s.over.note(c.ClientID, c.Token)
		s.supersede(c, e.At)
		if h := s.holders[c.ClientID]; h != nil && h.call.Call.ID == c.ID {
			s.finish(h)
			s.changes = append(s.changes, *e)
		}
	}
	return s.changes
}

// late reports whether a start is no news: it is known, or over, or in doubt.
func (s *state) late(c *messages.Call, fromStream bool) bool {
	if c.Token <= s.over.token(c.ClientID) {
		return true
	}
	if h := s.holders[c.ClientID]; h != nil && h.call.Call.Token >= c.Token {
		return true
	}
	p := s.people[c.UserID]
	if p != nil && p.call != nil && p.call.Call.StartedAt.After(c.StartedAt) || fromStream && c.StartedAt.Before(s.horizon) {
		s.over.note(c.ClientID, c.Token)
		return true
	}
	if fromStream && c.StartedAt.Before(s.doubt) {
		s.doubted = true
		return true
	}
	return false
}

// supersede ends the calls that stand in the way of c: an earlier one of its
// client (I1), an earlier one of its user (I2).
func (s *state) supersede(c *messages.Call, at time.Time) {
	if h := s.holders[c.ClientID]; h != nil && h.call.Call.Token < c.Token {
		s.changes = append(s.changes, s.end(h, at))
	}
	p := s.people[c.UserID]
	if p == nil || p.call == nil || p.call.Call.ID == c.ID {
		return
	}
	// Of two calls that began at the same time, one known to be over is not
	// taken for the later one.
	began, known := p.call.Call.StartedAt, s.over.token(c.ClientID) >= c.Token
	if began.Before(c.StartedAt) || began.Equal(c.StartedAt) && !known {
		s.changes = append(s.changes, s.end(p, at))
	}
}

// end finishes p's call and returns the event that says so. Its reason is not
// known.
func (s *state) end(p *person, at time.Time) messages.Event {
	gone := p.call
	s.over.note(gone.Call.ClientID, gone.Call.Token)
	s.finish(p)
	return messages.Event{
		ID: messages.EventID(gone.Call.ID, messages.EventCallEnded), Type: messages.EventCallEnded, At: at,
		Call: gone.Call, User: gone.User, Client: gone.Client,
	}
}

// begin puts the call's user on it. Neither user nor client may be on one.
func (s *state) begin(c messages.LiveCall) {
	p := s.people[c.Call.UserID]
	if p == nil {
		// Only an active user can start a call.
		p = &person{user: c.User, listed: true, slot: -1}
		p.user.ID = c.Call.UserID
		s.people[c.Call.UserID] = p
		s.reorder = true
	}
	if c.User == p.user {
		c.User = p.user // one copy of the names
	}
	p.call = &c
	s.holders[c.Call.ClientID] = p
	s.changed(p)
}

// finish takes p off their call.
func (s *state) finish(p *person) {
	delete(s.holders, p.call.Call.ClientID)
	p.call = nil
	s.changed(p)
	if !p.listed {
		delete(s.people, p.user.ID)
	}
}

// changed notes that p's line in the list says something else now.
func (s *state) changed(p *person) {
	p.json = nil
	if !p.listed {
		return
	}
	s.version++
	if p.slot >= 0 {
		s.dirty[p.slot/groupSize] = true
	}
}

// calls returns all calls in progress, by client.
func (s *state) calls() []messages.LiveCall {
	all := make([]messages.LiveCall, 0, len(s.holders))
	for _, p := range s.holders {
		all = append(all, *p.call)
	}
	return all
}

// arrange makes order anew if the people in it changed.
func (s *state) arrange() {
	if !s.reorder {
		return
	}
	s.order = s.order[:0]
	for _, p := range s.people {
		p.slot = -1
		if p.listed {
			s.order = append(s.order, p)
		}
	}
	slices.SortFunc(s.order, func(a, b *person) int {
		return cmp.Or(cmp.Compare(a.user.FirstName, b.user.FirstName), cmp.Compare(a.user.LastName, b.user.LastName),
			strings.Compare(string(a.user.ID.UUID[:]), string(b.user.ID.UUID[:])))
	})
	for i, p := range s.order {
		p.slot = i
	}
	for g := range groupsOf(len(s.order)) {
		s.dirty[g] = true
	}
	s.reorder = false
}

// status is p's line in the list.
func (p *person) status() messages.UserStatus {
	st := messages.UserStatus{User: p.user}
	if p.call == nil {
		return st
	}
	call := p.call.Call
	st.IsOnCall, st.CallStartedAt, st.CurrentCallClientID, st.CurrentCallID = true, &call.StartedAt, &call.ClientID, &call.ID
	if !p.call.Client.ID.IsZero() {
		summary := p.call.Client
		st.Client = &summary
	}
	return st
}
