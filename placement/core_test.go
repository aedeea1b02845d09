package placement_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/placement"
)

func idOf(n uint64) (id [16]byte) {
	binary.BigEndian.PutUint64(id[8:], n*0x9e3779b97f4a7c15)
	return id
}

// TestHomes: nodes of all versions agree on them, so these are never changed.
func TestHomes(t *testing.T) {
	o := placement.NewOwners([]string{"b", "a", "c"})
	got := ""
	for i := range uint64(24) {
		got += o.Home(idOf(i))
	}
	if want := "abbccbbbaccabcbcbbbcabcb"; got != want {
		t.Errorf("the homes of 24 ids are %s, and were %s", got, want)
	}
}

// TestOnlyWhatAMemberHadMoves: and all have about the same.
func TestOnlyWhatAMemberHadMoves(t *testing.T) {
	three, two := placement.NewOwners([]string{"a", "b", "c"}), placement.NewOwners([]string{"a", "c"})
	for i := range uint64(5000) {
		before, after := three.Home(idOf(i)), two.Home(idOf(i))
		if before != "b" && after != before {
			t.Fatalf("an actor moved from %s to %s when b left", before, after)
		}
	}
	for id, share := range three.Shares() {
		if math.Abs(share-1.0/3) > 0.03 {
			t.Errorf("%s has %.2f of all", id, share)
		}
	}
}

// clock is a member's own, with what it reads from a register that others write.
type clock struct {
	core *placement.Core
	now  time.Time
}

func member(id string, view ...string) placement.Member {
	return placement.Member{ID: id, Role: placement.RoleAll, Beat: 1, View: view}
}

func newClock(id string) *clock {
	return &clock{core: placement.NewCore(member(id)), now: time.Unix(100, 0)}
}

// beat makes an exchange that takes as long as took.
func (c *clock) beat(took time.Duration, others ...placement.Member) bool {
	own, began := c.core.Next(), c.now
	c.now = c.now.Add(took)
	return c.core.Observe(began, c.now, own, append(others, own))
}

// follow acts by what follows from the members.
func (c *clock) follow() { c.core.Act(c.core.Wants()) }

func TestAWriteThatComesThroughTooLateDoesNotBringAMemberBack(t *testing.T) {
	c := newClock("a")
	if !c.beat(time.Millisecond) {
		t.Fatal("the first heartbeat did not count")
	}
	if c.beat(placement.ValidFor) || c.beat(time.Millisecond) {
		t.Error("it counts although others may have judged this member gone")
	}
}

func TestWhoFindsNobodyWaits(t *testing.T) {
	c := newClock("a")
	c.beat(time.Millisecond)
	if c.core.Wants() != nil {
		t.Error("a register that lost its contents is taken for a new one")
	}
	for range 5 {
		c.now = c.now.Add(placement.BeatEvery)
		c.beat(time.Millisecond)
	}
	c.follow()
	c.beat(time.Millisecond)
	if h := c.core.Homes(); !h.Alone() {
		t.Error("after two seconds nobody else can be trusted, and this member keeps nothing")
	}
}

func TestANewMemberWaitsForTheOthersToLetGo(t *testing.T) {
	c := newClock("b")
	c.beat(time.Millisecond, member("a", "a"))
	c.follow()
	c.beat(time.Millisecond, member("a", "a"))
	both := placement.NewOwners([]string{"a", "b"})
	for i := range uint64(50) {
		if _, here := c.core.Homes().Home(idOf(i)); here {
			t.Fatal("it keeps an actor that a has not let go of")
		}
	}
	a := member("a", "a", "b")
	a.Beat++
	c.beat(time.Millisecond, a)
	for i := range uint64(50) {
		if _, here := c.core.Homes().Home(idOf(i)); here != (both.Home(idOf(i)) == "b") {
			t.Fatal("it does not keep what is its own")
		}
	}
}

func TestWhoIsGoneKeepsItsActorsUntilItsSessionsHaveEnded(t *testing.T) {
	c := newClock("b")
	a := member("a", "a", "b")
	c.beat(time.Millisecond, a)
	c.follow()
	for range 6 {
		c.beat(time.Millisecond, a)
		c.now = c.now.Add(placement.BeatEvery)
	}
	if gone := c.core.Gone(); len(gone) != 1 || gone[0] != "a" {
		t.Fatalf("gone are %v", gone)
	}
	c.follow()
	c.beat(time.Millisecond, a)
	if c.core.Homes().Settled() {
		t.Error("its actors were taken over while its sessions could write")
	}
	c.core.Ended([]string{"a"})
	if !c.core.Homes().Alone() {
		t.Error("its actors were not taken over")
	}
	a.Beat++
	c.beat(time.Millisecond, a)
	if !c.core.Homes().Alone() {
		t.Error("who was judged gone is back under the same name")
	}
}

func TestWhoLeavesKeepsNothing(t *testing.T) {
	c := newClock("b")
	c.beat(time.Millisecond, member("a", "a", "b"))
	c.follow()
	c.beat(time.Millisecond, member("a", "a", "b"))
	c.core.Leave()
	c.follow()
	if c.core.Published() {
		t.Error("it says that it has left before that is written")
	}
	c.beat(time.Millisecond, member("a", "a", "b"))
	if !c.core.Published() {
		t.Error("it does not know that it has left")
	}
	for i := range uint64(50) {
		if home, here := c.core.Homes().Home(idOf(i)); here || home != "a" {
			t.Fatalf("an actor lives at %q (here: %v)", home, here)
		}
	}
}
