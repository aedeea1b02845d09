package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// incident is a fault that was, and what it cost.
type incident struct {
	Kind     string        `json:"kind"`
	What     string        `json:"what,omitempty"`
	Begun    time.Duration `json:"begun"`    // since the clock began
	Repaired time.Duration `json:"repaired"` // the same
	Well     time.Duration `json:"well"`     // the same: every node was ready again
	// Silence is the longest time without any answer to a start or an end, from
	// any node; Slowest the slowest answer of a node that the fault was not about.
	Silence time.Duration `json:"silence"`
	Slowest time.Duration `json:"slowest"`
	// Missed is how many requests of probes failed until all was well.
	Missed int `json:"missed"`
	// Together says that the same callers had another fault at the same time.
	Together bool `json:"together,omitempty"`
	// NotMade says that the fault could not be made; then the rest says nothing.
	NotMade bool `json:"not_made,omitempty"`

	solo bool
	node int
	peer int
}

// pace is how long faults and the time between them are.
type pace struct {
	gapLeast, gapMost     time.Duration
	faultLeast, faultMost time.Duration
	long                  time.Duration // what now and then a fault takes; zero: never
}

var (
	quick = pace{300 * time.Millisecond, 800 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond, 0}
	slow  = pace{2 * time.Second, 6 * time.Second, 2 * time.Second, 9 * time.Second, 30 * time.Second}
)

// schedule draws faults. What it draws follows from the seed alone: each kind
// once, in any order, and then again; now and then two at a time.
type schedule struct {
	dice   *rand.Rand
	makers []maker
	pace   pace
	deck   []maker // not drawn yet
	rounds int     // decks begun
}

func newSchedule(seed uint64, makers []maker, p pace) *schedule {
	return &schedule{dice: rand.New(rand.NewPCG(seed, seed)), makers: makers, pace: p}
}

// turn is one or two faults, how long they last, and the time before.
type turn struct {
	gap, lasts time.Duration
	faults     []fault
}

func (s *schedule) next() turn {
	t := turn{gap: between(s.dice, s.pace.gapLeast, s.pace.gapMost), lasts: between(s.dice, s.pace.faultLeast, s.pace.faultMost)}
	if s.pace.long > 0 && s.dice.IntN(10) == 0 {
		t.lasts = s.pace.long
	}
	first := s.draw()
	t.faults = append(t.faults, first.make(s.dice))
	if len(s.deck) > 0 && (first.solo || s.deck[0].solo || s.pace.long > 0 && s.dice.IntN(6) == 0) {
		t.faults = append(t.faults, s.draw().make(s.dice))
	}
	if len(t.faults) == 2 && t.faults[0].meets(t.faults[1]) {
		t.faults = t.faults[:1]
	}
	return t
}

// sameDeployment reports whether two faults are there for the same callers.
func (t turn) sameDeployment() bool {
	return len(t.faults) == 2 && t.faults[0].solo == t.faults[1].solo
}

// meets reports whether one fault would undo or hinder the repair of another.
func (f fault) meets(o fault) bool {
	return f.solo == o.solo && (f.node == o.node || f.node == everybody || o.node == everybody)
}

func (s *schedule) draw() maker {
	if len(s.deck) == 0 {
		s.rounds++
		s.deck = append(s.deck, s.makers...)
		s.dice.Shuffle(len(s.deck), func(i, j int) { s.deck[i], s.deck[j] = s.deck[j], s.deck[i] })
	}
	m := s.deck[0]
	s.deck = s.deck[1:]
	return m
}

// done reports whether every kind has had its turn.
func (s *schedule) done() bool { return s.rounds > 1 || s.rounds == 1 && len(s.deck) == 0 }

// breakThings carries the schedule out until so much time has passed and every
// kind of fault has been.
func (w *world) breakThings(ctx context.Context, s *schedule, lasts time.Duration) (all []incident) {
	begin := time.Now()
	for time.Since(begin) < lasts || !s.done() {
		t := s.next()
		if !pause(ctx, t.gap) {
			return all
		}
		all = append(all, w.carryOut(ctx, t)...)
		if w.t.Failed() {
			return all
		}
	}
	return all
}

// carryOut makes the faults of a turn, lets them last, and repairs them.
func (w *world) carryOut(ctx context.Context, t turn) (made []incident) {
	for _, f := range t.faults {
		w.t.Logf("%v: %s %s, for %v", w.team.book.now().Round(time.Millisecond), f.kind, f.what, t.lasts.Round(time.Millisecond))
		in := incident{Kind: f.kind, What: f.what, Begun: w.team.book.now(), Together: t.sameDeployment(), solo: f.solo, node: f.node, peer: f.peer}
		err := f.begin()
		w.expect(f, "begin", err)
		in.NotMade = err != nil
		made = append(made, in)
	}
	pause(ctx, t.lasts)
	for i, f := range t.faults {
		w.expect(f, "end", f.repair(ctx))
		made[i].Repaired = w.team.book.now()
	}
	for _, f := range t.faults {
		if f.recover != nil {
			f.recover(ctx)
		}
	}
	w.wait(ctx)
	for i := range made {
		made[i].Well = w.team.book.now()
	}
	return made
}

// expect notes a fault that could not be made or repaired: then the run says
// nothing about it.
func (w *world) expect(f fault, step string, err error) {
	if err != nil {
		w.team.book.defect(fmt.Errorf("%s %s: it could not %s: %w", f.kind, f.what, step, err))
	}
}

// wait waits until every node is ready.
func (w *world) wait(ctx context.Context) {
	for _, d := range w.deployments() {
		for _, n := range d.nodes {
			d.book.defect(n.comeBack(ctx))
		}
	}
}

// settle is the time after a repair that still counts as the fault's.
const settle = 2 * time.Second

// measure fills in what faults cost, by what the probes of each deployment saw.
func measure(all []incident, team, solo *serviceLog) {
	for i := range all {
		in := &all[i]
		log, leftOut := team, []int{in.node, in.peer}
		if in.solo {
			log = solo
		}
		end := in.Well + settle
		for _, next := range all[i+1:] {
			if next.solo == in.solo && next.Begun > in.Well {
				end = min(end, next.Begun) // what comes then is the next one's
				break
			}
		}
		in.Silence, in.Missed = log.silence(in.Begun, end), log.failures(in.Begun, in.Well)
		if !in.Together && !in.solo && in.node != everybody {
			in.Slowest = log.slowest(in.Begun, in.Well, leftOut)
		}
	}
}
