package fleet

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Seen is one request and what came of it, as its sender saw it. Times are since
// the run began.
type Seen struct {
	Verb    Verb
	Outcome Outcome
	User    int // of the fleet
	Client  int // of the fleet; not of End and List
	Meant   time.Duration
	Sent    time.Duration
	Got     time.Duration // when the answer came, or was given up
	Token   int64         // of a call that was started; 0: not told
	Other   bool          // refused for a call that is not of the fleet
}

// Violation is a promise that was seen broken.
type Violation struct {
	Promise string // I1, I2, I4 or I6
	What    string // for a person
}

const (
	never = time.Duration(math.MaxInt64)
	// kept is how many violations of each promise are kept; all are counted.
	kept = 20
)

// hold is what is known of one call. It was in progress for certain in
// [acked, released), and possibly in [sent, gone].
type hold struct {
	user           int
	token          int64
	sent, acked    time.Duration // acked is never: the answer to its start is not known
	released, gone time.Duration
	judged         bool
}

// refusal is somebody who was told that another is calling the client.
type refusal struct {
	user      int
	sent, got time.Duration
}

// line is what is known of one client, or of one user.
type line struct {
	holds    []*hold
	refusals []refusal
	token    int64 // the highest that was forgotten
	marked   bool
}

// Checker holds what was seen against what is promised. It is pure: what it
// knows is what it was told.
//
// The requests of one user must be told in their order; those of several may
// come in any. What was told is judged by [Checker.Advance], when nothing can
// come any more that would change the judgement, and then forgotten.
type Checker struct {
	lease   time.Duration // how long a call lasts that nobody ends
	clients map[int]*line
	users   map[int][]*hold
	marked  []*line // clients of whom something is to be judged
	names   map[*line]int
	counts  map[string]int // of violations, by promise

	// Judged counts what was held against a promise: starts and refusals.
	Judged int
	// Others counts refusals for calls that are not of the fleet: they are not
	// judged.
	Others int
	// Broken counts violations; Violations has the first of each
	// promise.
	Broken     int
	Violations []Violation
}

// NewChecker makes a checker for calls with this lease, above zero.
func NewChecker(lease time.Duration) *Checker {
	return &Checker{lease: lease, clients: map[int]*line{}, users: map[int][]*hold{}, names: map[*line]int{}, counts: map[string]int{}}
}

// Add tells the checker of one request that is over.
func (c *Checker) Add(s Seen) {
	switch s.Verb {
	case Start, Double:
		c.started(s)
	case End:
		c.ended(s)
	}
}

func (c *Checker) started(s Seen) {
	switch s.Outcome {
	case Done:
		c.granted(s)
	case Unknown:
		// If it was carried out, then by now; or it is on its way still, and lasts
		// as long as its lease.
		c.hold(s, &hold{user: s.User, sent: s.Sent, acked: never, released: never, gone: s.Got + c.lease})
	case ClientBusy, UserBusy:
		if s.Other {
			c.Others++
			return
		}
		c.refused(s)
	}
}

func (c *Checker) refused(s Seen) {
	if s.Outcome == ClientBusy {
		l := c.client(s.Client)
		l.refusals = append(l.refusals, refusal{s.User, s.Sent, s.Got})
		return
	}
	c.Judged++
	if !slices.ContainsFunc(c.users[s.User], func(h *hold) bool { return h.sent <= s.Got && h.gone >= s.Sent }) {
		c.broken("I4", "user %d was refused at %v as being on a call, and was on none", s.User, s.Got)
	}
}

// granted begins a call. Its user was on none: an agent that is on a call ends it
// or starts another, which must be refused.
func (c *Checker) granted(s Seen) {
	for _, h := range c.users[s.User] {
		if h.acked <= s.Got && h.released > s.Got {
			c.broken("I2", "user %d was given a call at %v while on another since %v", s.User, s.Got, h.acked)
		}
	}
	c.hold(s, &hold{user: s.User, token: s.Token, sent: s.Sent, acked: s.Got, released: s.Sent + c.lease, gone: never})
}

func (c *Checker) hold(s Seen, h *hold) {
	l := c.client(s.Client)
	l.holds = append(l.holds, h)
	c.users[s.User] = append(c.users[s.User], h)
}

// ended ends what the user is on. A call whose start has no known answer may
// begin after that.
func (c *Checker) ended(s Seen) {
	open := c.users[s.User][:0]
	for _, h := range c.users[s.User] {
		h.released = min(h.released, s.Sent)
		switch {
		case h.acked == never:
			if h.gone > s.Got {
				open = append(open, h)
			}
		case s.Outcome == Done:
			h.gone = s.Got
		default:
			open = append(open, h)
		}
	}
	clear(c.users[s.User][len(open):])
	c.users[s.User] = open
}

func (c *Checker) client(n int) *line {
	l := c.clients[n]
	if l == nil {
		l = &line{}
		c.clients[n], c.names[l] = l, n
	}
	if !l.marked {
		l.marked = true
		c.marked = append(c.marked, l)
	}
	return l
}

// Advance judges everything up to before: every request that was sent earlier
// has been told of.
func (c *Checker) Advance(before time.Duration) {
	marked := c.marked
	c.marked = nil
	for _, l := range marked {
		l.marked = c.judge(c.names[l], l, before)
		if l.marked {
			c.marked = append(c.marked, l)
		}
	}
}

// judge looks at one client. It reports whether something is left to judge or to
// forget.
func (c *Checker) judge(client int, l *line, before time.Duration) bool {
	slices.SortFunc(l.holds, func(a, b *hold) int { return cmp.Compare(a.acked, b.acked) })
	for i, h := range l.holds {
		if h.judged || h.acked >= before {
			continue
		}
		h.judged = true
		c.Judged++
		c.judgeHold(client, l, i)
	}
	rest := l.refusals[:0]
	oldest := before
	for _, r := range l.refusals {
		if r.got >= before {
			rest, oldest = append(rest, r), min(oldest, r.sent)
			continue
		}
		c.Judged++
		held := slices.ContainsFunc(l.holds, func(h *hold) bool {
			return h.user != r.user && h.sent <= r.got && h.gone >= r.sent
		})
		if !held {
			c.broken("I4", "user %d was refused client %d at %v, whom nobody was calling", r.user, client, r.got)
		}
	}
	l.refusals = rest
	l.forget(oldest)
	return len(l.holds)+len(l.refusals) > 0
}

// judgeHold holds the i-th call of a client against those answered before it.
func (c *Checker) judgeHold(client int, l *line, i int) {
	h := l.holds[i]
	token := l.token
	twice := false
	for _, o := range l.holds[:i] {
		if !twice && h.acked < min(o.released, h.released) {
			twice = true // one is enough, or a server that refuses nobody costs the square
			c.broken("I1", "client %d was given to user %d at %v while user %d was calling since %v", client, h.user, h.acked, o.user, o.acked)
		}
		if o.acked < h.sent {
			token = max(token, o.token)
		}
	}
	if h.token > 0 && h.token <= token {
		c.broken("I6", "client %d: a call of user %d has fencing token %d behind %d", client, h.user, h.token, token)
	}
}

// forget lets go of what was over before everything that is still to be judged.
func (l *line) forget(before time.Duration) {
	l.holds = slices.DeleteFunc(l.holds, func(h *hold) bool {
		over := h.gone < before && h.released < before && (h.judged || h.acked == never)
		if h.acked == never {
			over = h.gone < before
		}
		if over {
			l.token = max(l.token, h.token)
		}
		return over
	})
}

func (c *Checker) broken(promise, format string, args ...any) {
	c.Broken++
	c.counts[promise]++
	if c.counts[promise] <= kept {
		c.Violations = append(c.Violations, Violation{promise, fmt.Sprintf(format, args...)})
	}
}
