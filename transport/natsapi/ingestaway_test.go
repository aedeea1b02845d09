package natsapi

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// TestAway: who has a place, and when the others come again.
func TestAway(t *testing.T) {
	const full, room = false, true
	const half = lineMost / 2
	type step struct {
		at   time.Duration
		seq  uint64
		from origin
		room bool
		want time.Duration // zero: a place
	}
	many := func(steps ...step) (all []step) { // events 1 to half find no place
		for n := range half {
			all = append(all, step{0, uint64(n + 1), publisher, full, backLeast})
		}
		return append(all, steps...)
	}
	for what, steps := range map[string][]step{
		"a new one waits for one that went back": {
			{0, 1, publisher, full, backLeast}, {0, 2, publisher, room, backLeast}, {backLeast, 1, elsewhere, room, 0}, {backLeast, 2, elsewhere, room, 0},
		},
		"one that comes again waits for one that went back again": {
			{0, 1, publisher, full, backLeast}, {0, 2, publisher, full, backLeast},
			{backLeast, 1, elsewhere, full, backLeast}, {backLeast, 2, elsewhere, room, backLeast},
			{2 * backLeast, 1, elsewhere, room, 0}, {2 * backLeast, 2, elsewhere, room, 0},
		},
		"and for one that is late, but not for ever": {
			{0, 1, publisher, full, backLeast}, {0, 2, publisher, full, backLeast}, {backLeast + 1, 2, elsewhere, room, backSoon},
			{backLeast + time.Second, 2, elsewhere, room, time.Second / 2}, {backLeast + backLate, 2, elsewhere, room, 0},
		},
		"a line that does not move is asked less often": {
			{0, 1, publisher, full, backLeast}, {time.Second, 1, elsewhere, full, time.Second / 2}, {time.Second, 2, publisher, full, time.Second / 2},
		},
		"an earlier one waits for none": {
			{0, 5, publisher, full, backLeast}, {0, 3, here, room, 0}, {backLeast, 5, elsewhere, room, 0},
		},
		"as many as fill half a line come at once, and more one behind the other": many(
			step{0, 91, publisher, full, backLeast}, step{0, 92, publisher, full, backLeast + backApart}, step{0, 93, publisher, full, backLeast + 2*backApart},
		),
		"where others take events, those that come again wait for none, and new ones do": {
			{0, 1, publisher, full, backLeast}, {0, 2, publisher, full, backLeast}, {1, 9, elsewhere, room, 0},
			{backLeast, 2, elsewhere, room, 0}, {backLeast, 10, publisher, room, backSoon},
		},
		"one that waits for somebody's import is no sign of others": {
			{0, 1, publisher, full, backLeast}, {0, 2, publisher, full, backLeast}, {1, 9, here, room, backLeast - 1}, {backLeast, 2, elsewhere, room, backSoon},
		},
	} {
		t.Run(what, func(t *testing.T) {
			a := newAway()
			for n, s := range steps {
				after, ok := a.place(aUser, s.seq, s.from, s.room, time.Unix(1, 0).Add(s.at))
				if ok != (s.want == 0) || after != s.want {
					t.Errorf("step %d: event %d has a place: %t, else after %s; want %s", n, s.seq, ok, after, s.want)
				}
			}
		})
	}
}

// TestAwayIsBounded: users of whom nothing came again are forgotten, and so is what
// another one of the same user waits for no longer; nobody waits for more than backMost.
func TestAwayIsBounded(t *testing.T) {
	a, now := newAway(), time.Unix(1, 0)
	for n := range 10 * backUsers {
		now = now.Add(backLate / 10)
		a.place(messages.UserID{UUID: natstest.ID(0x05, n)}, 1, publisher, false, now)
	}
	if n := len(a.of); n > 2*backUsers {
		t.Errorf("it remembers %d users", n)
	}
	var last time.Duration
	const events = 200_000
	for n := range uint64(events) {
		after, _ := a.place(aUser, n+1, publisher, false, now)
		if after < last || after > backMost+backTick {
			t.Fatalf("event %d comes after %s, the one before after %s", n, after, last)
		}
		last = after
	}
	if n := len(a.of[aUser]); n != events {
		t.Errorf("it remembers %d of %d events", n, events)
	}
	if after, _ := a.place(aUser, events+1, publisher, false, now.Add(backMost+backLate)); after != backLeast || len(a.of[aUser]) != 1 {
		t.Errorf("the next one comes after %s; of %d events it is remembered that they went back", after, len(a.of[aUser]))
	}
}

// TestNobodyOvertakes: with one node, none of a user's events has a place before an
// earlier one that went back, whatever they take, however late the server is, and though
// some are deleted; and with one or more, no event waits for longer than it must.
func TestNobodyOvertakes(t *testing.T) {
	for _, nodes := range []int{1, 2, 3} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("%d nodes, %d", nodes, seed), func(t *testing.T) {
				s := newStage(t, seed, nodes)
				took := s.run()
				if nodes == 1 && s.overtaken > 0 {
					t.Errorf("%d events were overtaken", s.overtaken)
				}
				// What the work takes, or the time in which all come again, and a part of it;
				// and what it takes to do without those that were deleted.
				limit := max(s.worked/time.Duration(nodes), time.Duration(s.events)*backApart)
				if limit += limit/2 + backLate + time.Duration(s.deleted)*3*backLate/2; took > limit {
					t.Errorf("it took %s, want at most %s", took, limit)
				}
				t.Logf("%d events: %s, %s of work, %d deliveries", s.events, took, s.worked, s.deliveries)
			})
		}
	}
}

// stage is what a server and nodes make of the events of one user, by a clock of its
// own. It knows the rules of the server and of lines, and none of those of [away].
type stage struct {
	t      *testing.T
	rnd    *rand.Rand
	now    time.Time
	nodes  []*stageNode
	events uint64 // how many there are, counted from one
	slow   int    // how many milliseconds one takes at most
	delete bool   // some are

	next    uint64            // the first that was not delivered yet
	pending map[uint64]*stray // those that went back
	ready   []uint64          // of those: whose time has come
	look    time.Time         // when the server looks for more of them
	heard   time.Time         // until when it has heard what it was told
	gone    map[uint64]bool   // worked off, or deleted

	overtaken, deliveries, deleted int
	worked                         time.Duration
}

type stray struct {
	due  time.Time
	node *stageNode // that put it back
}

type stageNode struct {
	away *away
	line []uint64 // the first is being worked on
	free time.Time
}

func newStage(t *testing.T, seed uint64, nodes int) *stage {
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := &stage{
		t: t, rnd: rnd, now: time.Unix(1, 0), next: 1, pending: map[uint64]*stray{}, gone: map[uint64]bool{},
		events: 10 + rnd.Uint64N(1000), slow: 1 + rnd.IntN(40), delete: seed%4 == 0,
	}
	for range nodes {
		s.nodes = append(s.nodes, &stageNode{away: newAway()})
	}
	return s
}

// run plays until all events are gone, and returns how long that takes.
func (s *stage) run() time.Duration {
	begin := s.now
	for uint64(len(s.gone)) < s.events {
		s.now = s.now.Add(time.Millisecond)
		for _, n := range s.nodes {
			s.work(n)
		}
		s.expire()
		for range 20 {
			if seq := s.deliverable(); seq != 0 {
				s.deliver(seq)
			}
		}
		if s.now.Sub(begin) > time.Hour {
			s.t.Fatalf("%d of %d events are gone after an hour", len(s.gone), s.events)
		}
	}
	return s.now.Sub(begin)
}

func (s *stage) work(n *stageNode) {
	if len(n.line) == 0 || s.now.Before(n.free) {
		return
	}
	s.gone[n.line[0]] = true
	n.away.forget(aUser, n.line[0])
	n.line = n.line[1:]
	s.begin(n)
}

func (s *stage) begin(n *stageNode) {
	if len(n.line) > 0 {
		took := time.Duration(1+s.rnd.IntN(s.slow)) * time.Millisecond
		n.free, s.worked = s.now.Add(took), s.worked+took
	}
}

// expire has those come again whose time has come, now and then rather late.
func (s *stage) expire() {
	if s.now.Before(s.look) {
		return
	}
	s.look = s.now.Add(time.Duration(s.rnd.IntN(30)) * time.Millisecond)
	if s.rnd.IntN(100) == 0 {
		s.look = s.now.Add(time.Duration(s.rnd.IntN(300)) * time.Millisecond)
	}
	var due []uint64
	for seq, p := range s.pending {
		if !s.now.Before(p.due) && !slices.Contains(s.ready, seq) {
			due = append(due, seq)
		}
	}
	slices.Sort(due)
	s.ready = append(s.ready, due...)
}

// deliverable is the next one that the server delivers: first those that come again.
func (s *stage) deliverable() (seq uint64) {
	switch {
	case len(s.ready) > 0:
		seq, s.ready = s.ready[0], s.ready[1:]
	case s.next <= s.events:
		seq, s.next = s.next, s.next+1
	}
	if s.delete && seq%97 == 0 && s.pending[seq] != nil {
		s.gone[seq] = true
		s.deleted++
		delete(s.pending, seq)
		return 0
	}
	return seq
}

func (s *stage) deliver(seq uint64) {
	s.deliveries++
	n, from := s.nodes[s.rnd.IntN(len(s.nodes))], publisher
	if s.pending[seq] != nil {
		from = elsewhere
	}
	after, ok := n.away.place(aUser, seq, from, len(n.line) <= lineMost, s.now)
	if !ok {
		s.heard = later(s.heard, s.now.Add(time.Duration(s.rnd.IntN(20))*time.Millisecond))
		s.pending[seq] = &stray{s.heard.Add(after), n}
		return
	}
	for other, p := range s.pending {
		if other < seq && p.node == n {
			s.overtaken++
		}
	}
	delete(s.pending, seq)
	if n.line = append(n.line, seq); len(n.line) == 1 {
		s.begin(n)
	}
}
