package client

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Phase says who has the client.
type Phase uint8

const (
	Free     Phase = iota // nobody, as far as is known
	Reserved              // somebody's claim is being committed
	Held                  // somebody's claim is committed
)

func (p Phase) String() string { return [...]string{"free", "reserved", "held"}[p] }

// RemindAfter is how often the actor is reminded while anybody waits. It is
// well above what a commit takes and well below what a caller waits.
const RemindAfter = time.Second

// DistantAfter is the same where messages may be lost on the way. It is well above what
// a message takes between nodes.
const DistantAfter = 100 * time.Millisecond

// State is all that a client actor remembers. It is never changed in place.
type State struct {
	Client messages.ClientID
	// Shared says that other processes write to the same store: claims may pass
	// by here, and a free client is never verified.
	Shared bool

	// Distant says that user actors may live at other nodes: messages may be lost, come
	// twice, or be overtaken. Then nobody is told from memory that the client is free.
	// The shell may change it between steps.
	Distant bool

	phase    Phase
	verified bool // free: the store was read, and every claim since passed through here
	reminded bool // a reminder is under way
	// serial numbers questions and reads, so that an answer that is older than
	// those whom it would serve is known by it. The numbers of different
	// incarnations differ.
	serial  uint64
	looking uint64 // the serial of the read under way; 0: none
	holder  *holder
	crowd   *crowd
}

// holder is who reserved or holds the client. It is replaced, never changed.
type holder struct {
	user  messages.UserID
	call  messages.CallID
	since time.Time          // reserved: when
	held  messages.HeldClaim // held: the committed call
}

// crowd is everybody who waits. It is replaced, never changed.
type crowd struct {
	waiting line      // the next question is theirs
	asked   []waiter  // whom the question, or the read, under way serves
	askedAt time.Time // when that question was asked
	serial  uint64    // of that question
}

// waiter waits for the client (a reservation) or for word about it (an
// availability question). Exactly one of user and asker is set.
type waiter struct {
	user  messages.UserID
	call  messages.CallID
	asker Asker
}

// line is waiters in the order in which they came. Nothing is ever changed in it:
// one that is longer by a waiter shares all the others, so that a thousand who
// want the same client cost each of them the same as one.
type line struct {
	last *link
	n    int
}

type link struct {
	waiter
	before *link
}

// with returns the line with w at its end.
func (l line) with(w waiter) line { return line{last: &link{waiter: w, before: l.last}, n: l.n + 1} }

// all returns who waits, first come first; the caller may keep and change it.
func (l line) all() []waiter {
	if l.n == 0 {
		return nil
	}
	ws := make([]waiter, l.n)
	for i, k := l.n-1, l.last; i >= 0; i, k = i-1, k.before {
		ws[i] = k.waiter
	}
	return ws
}

// lineOf returns a line of ws.
func lineOf(ws []waiter) line {
	var l line
	for _, w := range ws {
		l = l.with(w)
	}
	return l
}

// New returns the state of a client actor that wakes up: free, and unverified.
// No two lives of actors of the same client have the same incarnation.
func New(c messages.ClientID, incarnation uint32, shared bool) State {
	return State{Client: c, Shared: shared, serial: uint64(incarnation) << 32}
}

// Phase returns who has the client.
func (s State) Phase() Phase { return s.phase }

// Glance returns what the actor knows without asking anybody: the call by which the client
// is held, which may be over if its holder says so, or nil for a client that is surely free.
// It is not sure while that depends on somebody else. The call is shared: read only.
func (s State) Glance() (call *messages.HeldClaim, sure bool) {
	switch s.phase {
	case Free:
		return nil, s.verified && !s.Distant
	case Held:
		return &s.holder.held, true
	default:
		return nil, false
	}
}

// CanStop reports whether the actor may be stopped: nobody waits for it, and
// what it remembers can be found out again.
func (s State) CanStop() bool {
	return s.phase == Free && s.crowd == nil && s.looking == 0 && !s.reminded
}

// Waiting returns everybody who waits for an answer, so that a shell that has
// to throw the state away (its actor panicked) can tell them: who asked about
// availability, and whose reservations are open.
func (s State) Waiting() (askers []Asker, reservations []messages.Reserve) {
	if s.crowd == nil {
		return nil, nil
	}
	for _, ws := range [][]waiter{s.crowd.asked, s.crowd.waiting.all()} {
		for _, w := range ws {
			if w.asker != nil {
				askers = append(askers, w.asker)
				continue
			}
			reservations = append(reservations, messages.Reserve{Client: s.Client, User: w.user, Call: w.call})
		}
	}
	return askers, reservations
}
