package user

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Phase says what a user actor is doing.
type Phase uint8

const (
	Asleep     Phase = iota // nothing is known; the store has the truth
	Recovering              // the same, and a write of an earlier life is under way
	Loading                 // a read of the user's claim is under way
	Idle                    // in no call
	Reserving               // waiting for the client actor's word
	Claiming                // the claim is being committed
	OnCall                  // in a committed call
	Ending                  // the release is being committed
	Renewing                // a renewal is being committed; the call goes on
	Noting                  // something beside the claim is being committed
	Seeking                 // a read whether the call of a repeated start has ended is under way
)

func (p Phase) String() string {
	return [...]string{
		"asleep", "recovering", "loading", "idle", "reserving", "claiming",
		"onCall", "ending", "renewing", "noting", "seeking",
	}[p]
}

// MaxQueue is how many commands may wait behind the one under way. A person
// needs one or two; more is a caller gone wrong.
const MaxQueue = 32

// State is all that a user actor remembers. The zero value, with User set, is
// asleep. A State is never changed in place: Step returns a new one.
type State struct {
	User messages.UserID
	// Shared says that other processes write to the same store: what is known
	// is worth nothing once a command is answered, and every command begins
	// with a read.
	Shared bool
	// Distant says that other nodes may take this user over, and may have done so since
	// a commit began.
	Distant bool

	phase Phase
	held  *held     // the committed call; nil in none, and while nothing is known
	work  *work     // the command under way; nil while resting
	queue []Command // the commands waiting behind it
	asked []messages.AskHolder
}

// held is a committed call. It is replaced, never changed.
type held struct {
	messages.HeldClaim
	started *messages.Event // of the call, if this actor has seen it begin; else nil
	cover   cover
}

// cover is what lets a renewal be answered without a write: the renewal that
// was last committed left slack in the store beyond what was told.
type cover struct {
	since  time.Time     // when that renewal was handed to the journal
	slack  time.Duration // how much of the stored lease was not told
	stored time.Time     // the end of the lease in the store, by its clock
}

// work is the command under way. It is replaced, never changed.
type work struct {
	command Command
	write   *messages.Write // what is handed to the journal, after Reserving; nil: nothing is
	since   time.Time       // when it was made
	held    *held           // the call that the user was on then
}

// Recover is the state of the same user actor whose earlier life ended while a write
// of its own was under way: nothing can be learned from the store before that
// write is over, one way or the other.
func (s State) Recover() State {
	s = s.Forget()
	s.phase = Recovering
	return s
}

// Forget is the state of a user actor that knows nothing.
func (s State) Forget() State { return State{User: s.User, Shared: s.Shared, Distant: s.Distant} }

// Writing reports whether a write is under way; then [Written] is to come.
func (s State) Writing() bool {
	switch s.phase {
	case Recovering, Claiming, Ending, Renewing, Noting:
		return true
	}
	return false
}

// Phase returns what the actor is doing.
func (s State) Phase() Phase { return s.phase }

// Held returns the user's committed call, if one is known.
func (s State) Held() (messages.HeldClaim, bool) {
	if s.held == nil {
		return messages.HeldClaim{}, false
	}
	return s.held.HeldClaim, true
}

// Glance returns what the actor would go by if it were told something now: the call that
// the user is on, which is committed and not being ended, or nil for a user who is on none
// and has nothing under way. It is not sure while that depends on the store. The call is
// shared: read only.
func (s State) Glance() (call *messages.HeldClaim, sure bool) {
	switch {
	case s.phase == Idle:
		return nil, !s.Shared
	case s.held != nil && s.phase != Ending:
		return &s.held.HeldClaim, !s.Shared
	}
	return nil, false
}

// CanStop reports whether the actor may be stopped: nobody waits for it, and
// it remembers nothing that matters.
func (s State) CanStop() bool {
	return (s.phase == Idle || s.phase == Asleep) && len(s.queue) == 0 && len(s.asked) == 0
}

// Waiting returns everybody who waits for an answer, so that a shell that has
// to throw the state away (its actor panicked) can tell them.
func (s State) Waiting() ([]Asker, []messages.AskHolder) {
	var askers []Asker
	if s.work != nil {
		askers = append(askers, s.work.command.Asker)
	}
	for _, c := range s.queue {
		askers = append(askers, c.Asker)
	}
	return askers, s.asked
}
