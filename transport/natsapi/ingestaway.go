package natsapi

import (
	"cmp"
	"slices"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// away is the events that this node put back and that are to come again, of each user
// in the order of the stream. None of a user's has a place while an earlier one is to
// come: so nobody is overtaken who finds the line full a second time.
//
// An event need not come again here: another node takes it, or it is deleted from the
// stream, and this node hears of neither. So each is waited for until seconds after it
// was due, and no user waits for ever. Where other nodes take events too, there is no
// order across nodes, and those that come again wait for nobody: else a user with very
// many would spend their time on waiting for those that others have.
//
// Memory is bounded by what the server lets be unacknowledged ([maxUnacked]), and what
// others took in the last moments. Who has it guards it; times are passed in.
type away struct {
	of     map[messages.UserID][]absent  // by seq, none twice; not empty
	moved  map[messages.UserID]time.Time // of the same users: when one had a place last, or the first went back
	look   int                           // of more users than that, those are looked for of whom nothing is to come
	others time.Time                     // when an event came that another node had put back
}

// absent is an event that went back.
type absent struct {
	seq uint64 // in the stream
	due time.Time
}

// origin is where an event comes from.
type origin int

const (
	publisher origin = iota // it comes for the first time
	here                    // this node put it back, and not for want of a place
	elsewhere               // another node put it back or lost it, unless it was here for want of a place
)

const (
	// Events that found no place come again one behind the other, as fast as a
	// user's events are worked off, but for those that fill half a line at once. Where
	// they come faster than that, a full line lasts for backLeast; where it has not moved
	// for long they come less often. Who comes before one
	// that is late tries again soon, and less often the later that one is. Nobody waits longer than backMost.
	backLeast = lineMost * backApart
	backSoon  = 25 * time.Millisecond
	backApart = 5 * time.Millisecond
	backMost  = 10 * time.Minute
	// backLong: those that wait longer come again together with others, up to a
	// line of them: the server looks through all that wait for every moment at
	// which one is due.
	backLong = 5 * time.Second
	backTick = 125 * time.Millisecond
	// backLate is how long after it was due an event is waited for. It may be lost on its
	// way from the server or to it, and then comes after another ackWait. With others, who
	// have taken it then, it is remembered for othersLate.
	backLate, othersLate = ackWait + 2*time.Second, time.Second
	// othersFor is how long other nodes are believed to be there after an event of
	// theirs.
	othersFor = 10 * time.Second
	// backUsers is when users are looked through for those with nothing to come,
	// the first time.
	backUsers = 1024
)

func newAway() *away {
	return &away{of: map[messages.UserID][]absent{}, moved: map[messages.UserID]time.Time{}, look: backUsers}
}

// place reports whether an event may stand in its user's line, in which there is room
// or not. If it may not, it goes back, to come again after so long.
func (a *away) place(user messages.UserID, seq uint64, from origin, room bool, now time.Time) (after time.Duration, ok bool) {
	list := a.prune(user, now)
	i, known := find(list, seq)
	if from == elsewhere && !known {
		a.others = now
	}
	switch {
	case i > 0 && (from == publisher || !a.shared(now)):
		return a.putBack(user, seq, now, max(backSoon, now.Sub(list[0].due)/2)), false
	case !room:
		return a.putBack(user, seq, now, max(backLeast, a.stuck(user, now)/2)), false
	}
	a.forget(user, seq)
	if len(a.of[user]) > 0 {
		a.moved[user] = now
	}
	return 0, true
}

// putBack says after how long an event that goes back is to come again: after those
// before it, and as much later as they take at least. So it comes before there is
// nothing to do, and the fewer times in vain the more stand before it.
func (a *away) putBack(user messages.UserID, seq uint64, now time.Time, least time.Duration) time.Duration {
	a.lookThrough(now)
	list := a.of[user]
	i, known := find(list, seq)
	if i > 0 && a.over(list[i-1], now) { // with others, most are where nobody sees them
		list = a.keep(user, slices.DeleteFunc(list, func(e absent) bool { return e.seq != seq && a.over(e, now) }))
		i, known = find(list, seq)
	}
	due := now.Add(least)
	if i > 0 {
		due = later(due, list[0].due).Add(time.Duration(max(0, i-lineMost/2)) * backApart)
		due = later(due, list[i-1].due)
	}
	if limit := now.Add(backMost); due.After(limit) {
		due = limit
	}
	if len(list) == 0 {
		a.moved[user] = now
	}
	if known {
		list[i].due = due
	} else {
		a.of[user] = slices.Insert(list, i, absent{seq, due})
	}
	if due.Sub(now) > backLong {
		due = due.Truncate(backTick).Add(backTick) // the next one is told by the time before, to fit in
	}
	return due.Sub(now)
}

// forget lets go of an event for which nobody has to wait any longer.
func (a *away) forget(user messages.UserID, seq uint64) {
	list := a.of[user]
	switch i, known := find(list, seq); {
	case !known:
	case i == 0: // almost always
		a.keep(user, list[1:])
	default:
		a.keep(user, slices.Delete(list, i, i+1))
	}
}

// prune lets go of a user's first ones that have not come in time. Those behind one
// that may still come stay until it is gone: they are few.
func (a *away) prune(user messages.UserID, now time.Time) []absent {
	list := a.of[user]
	n := slices.IndexFunc(list, func(e absent) bool { return !a.over(e, now) })
	switch n {
	case 0:
		return list
	case -1:
		n = len(list)
	}
	return a.keep(user, list[n:])
}

func (a *away) keep(user messages.UserID, list []absent) []absent {
	if len(list) == 0 {
		delete(a.of, user)
		delete(a.moved, user)
		return nil
	}
	a.of[user] = list
	return list
}

// lookThrough lets go of users of whom nothing is to come.
func (a *away) lookThrough(now time.Time) {
	if len(a.of) <= a.look {
		return
	}
	for user := range a.of {
		a.prune(user, now)
	}
	a.look = max(backUsers, 2*len(a.of)) // else each one more would have them looked through
}

// stuck is for how long nobody of a user's had a place.
func (a *away) stuck(user messages.UserID, now time.Time) time.Duration {
	if len(a.of[user]) == 0 {
		return 0
	}
	return now.Sub(a.moved[user])
}

// shared reports whether other nodes take events as well.
func (a *away) shared(now time.Time) bool { return now.Sub(a.others) < othersFor }

// over reports whether an event is waited for no longer.
func (a *away) over(e absent, now time.Time) bool {
	late := backLate
	if a.shared(now) {
		late = othersLate
	}
	return !now.Before(e.due.Add(late))
}

func find(list []absent, seq uint64) (int, bool) {
	return slices.BinarySearchFunc(list, seq, func(e absent, seq uint64) int { return cmp.Compare(e.seq, seq) })
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
