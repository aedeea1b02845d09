package placement_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/placement"
)

// world is nodes that share a register, in random order and with random delays: they
// join, leave, are killed and paused, and their writes fail, with or without effect.
type world struct {
	tb       testing.TB
	rnd      *rand.Rand
	now      time.Time
	register map[string]placement.Member
	killed   map[string]bool // sessions ended by the store
	nodes    []*node
	serial   int
	checked  int // moments at which an actor was somewhere
	changed  map[[16]byte]string
	moves    int
}

// node is one process. An exchange takes three steps: begin, effect, end.
type node struct {
	core     *placement.Core
	homes    *placement.Homes
	awake    map[[16]byte]bool // actors that are awake
	letting  bool              // letting go of actors takes a while
	wants    []string
	nextBeat time.Time
	dead     bool
	paused   time.Time // until

	phase          int // of the exchange: 0 idle, 1 begun, 2 in effect
	began, next    time.Time
	written        placement.Member
	read           []placement.Member
	lost, noEffect bool
}

func (w *world) join() {
	w.serial++
	n := &node{awake: map[[16]byte]bool{}}
	role := placement.RoleAll
	if w.rnd.IntN(6) == 0 {
		role = placement.RoleAPI
	}
	n.core = placement.NewCore(placement.Member{ID: fmt.Sprintf("n%03d", w.serial), Role: role})
	n.homes = n.core.Homes()
	w.nodes = append(w.nodes, n)
}

func (w *world) step(ids [][16]byte) {
	w.now = w.now.Add(time.Duration(w.rnd.IntN(20)) * time.Millisecond)
	if w.rnd.IntN(150) == 0 && len(w.nodes) < 5 {
		w.join()
	}
	for _, n := range w.nodes {
		if n.dead || w.now.Before(n.paused) {
			continue
		}
		w.mischief(n)
		w.exchange(n)
		w.adjust(n)
		for _, id := range ids {
			if _, here := n.homes.Home(id); here && !n.core.Lapsed(w.now) && w.rnd.IntN(3) > 0 {
				n.awake[id] = true
			}
		}
	}
	w.nodes = slices.DeleteFunc(w.nodes, func(n *node) bool { return n.dead && w.rnd.IntN(500) == 0 })
	w.check(ids)
}

func (w *world) mischief(n *node) {
	switch w.rnd.IntN(1200) {
	case 0:
		n.dead = true
	case 1:
		n.paused = w.now.Add(time.Duration(w.rnd.IntN(6000)) * time.Millisecond)
	case 2:
		n.core.Leave()
	}
}

func (w *world) exchange(n *node) {
	switch {
	case n.phase == 0 && !w.now.Before(n.nextBeat):
		if n.core.Lapsed(w.now) { // a fenced node lets go, and joins as somebody else
			n.awake = map[[16]byte]bool{}
			if w.rnd.IntN(2) == 0 {
				id := n.core.Self().ID
				w.register[id] = placement.Member{ID: id, Left: true}
			}
			n.dead = true
			w.join()
			return
		}
		n.written, n.began, n.phase = n.core.Next(), w.now, 1
		n.noEffect, n.lost = w.rnd.IntN(30) == 0, w.rnd.IntN(30) == 0
		n.next = w.now.Add(time.Duration(w.rnd.IntN(300)) * time.Millisecond)
	case n.phase == 1 && !w.now.Before(n.next):
		if !n.noEffect {
			w.register[n.written.ID] = n.written
		}
		n.read = nil
		for _, m := range w.register {
			n.read = append(n.read, m)
		}
		n.phase, n.next = 2, w.now.Add(time.Duration(w.rnd.IntN(300))*time.Millisecond)
	case n.phase == 2 && !w.now.Before(n.next):
		if !n.lost && !n.noEffect {
			n.core.Observe(n.began, w.now, n.written, n.read)
			n.homes = n.core.Homes()
		}
		n.phase, n.nextBeat = 0, n.began.Add(placement.BeatEvery)
	}
}

func (w *world) adjust(n *node) {
	if gone := n.core.Gone(); len(gone) > 0 && w.rnd.IntN(10) == 0 {
		for _, id := range gone {
			w.killed[id] = true
		}
		n.core.Ended(gone)
		if w.rnd.IntN(2) == 0 {
			for _, id := range gone {
				delete(w.register, id)
			}
		}
		n.homes = n.core.Homes()
	}
	wants := n.core.Wants()
	if !n.letting && !slices.Equal(wants, n.core.View()) {
		n.homes, n.wants, n.letting = n.core.Homes(), wants, true
	}
	if n.letting && w.rnd.IntN(4) == 0 {
		n.letting = false
		if !slices.Equal(n.core.Wants(), n.wants) {
			return
		}
		for id := range n.awake {
			if _, here := n.homes.Home(id); !here {
				delete(n.awake, id)
			}
		}
		n.core.Act(n.wants)
		n.homes, n.nextBeat = n.core.Homes(), w.now
	}
}

// check holds that no actor is trusted at two nodes.
func (w *world) check(ids [][16]byte) {
	for _, id := range ids {
		var at []string
		for _, n := range w.nodes {
			if n.dead || !n.awake[id] || n.core.Lapsed(w.now) {
				continue
			}
			at = append(at, n.core.Self().ID)
		}
		if len(at) > 1 {
			w.tb.Fatalf("the actor of %x is trusted at %v", id[:2], at)
		}
		if len(at) == 1 {
			w.checked++
			if w.changed[id] != at[0] {
				w.changed[id], w.moves = at[0], w.moves+1
			}
		}
	}
}

// TestNoActorIsTrustedAtTwoNodes runs nodes through random lives.
func TestNoActorIsTrustedAtTwoNodes(t *testing.T) {
	checked, moves := 0, 0
	for seed := range uint64(20) {
		w := &world{
			tb: t, rnd: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1, 0),
			register: map[string]placement.Member{}, killed: map[string]bool{}, changed: map[[16]byte]string{},
		}
		ids := make([][16]byte, 20)
		for i := range ids {
			ids[i] = [16]byte{byte(i), byte(seed)}
		}
		w.join()
		for range 12000 {
			w.step(ids)
		}
		checked, moves = checked+w.checked, moves+w.moves
	}
	t.Logf("%d times an actor was at home; %d moves", checked, moves)
	if checked < 500_000 || moves < 2_000 {
		t.Fatalf("%d times at home, %d moves: the world is too quiet to show anything", checked, moves)
	}
}
