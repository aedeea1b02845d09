package placement

import (
	"maps"
	"slices"
	"time"
)

// Core is what one member knows of all members, and what follows from it. It is
// not safe for concurrent use.
type Core struct {
	self      Member
	published []string // the view that was written, and what was read after that is known
	// under are views that were written since and may stand in the register: it is
	// not known whether they do.
	under        [][]string
	wroteLeaving bool
	first        time.Time // when the first exchange ended
	established  bool      // nobody unknown can be trusting itself; see establish
	peers        map[string]peer
	gone         map[string]peer     // their sessions may still write
	ended        map[string]struct{} // nothing more can come of them
	valid        time.Time           // until when this membership can be trusted; zero: not yet
	lapsed       bool
}

type peer struct {
	member Member
	seen   time.Time // when its last change was
}

// NewCore returns a member that has not written itself yet.
func NewCore(self Member) *Core {
	self.View, self.Beat = nil, 0
	return &Core{self: self, peers: map[string]peer{}, gone: map[string]peer{}, ended: map[string]struct{}{}}
}

// Self returns this member as it was last to be written.
func (c *Core) Self() Member { return c.self }

// Next returns what to write to the register now. A write that failed may have
// happened all the same, but must not happen any more once a later one has succeeded.
func (c *Core) Next() Member {
	c.self.Beat++
	if !sameView(c.self.View, c.published) && !slices.ContainsFunc(c.under, func(v []string) bool { return sameView(v, c.self.View) }) {
		c.under = append(c.under, c.self.View)
	}
	return c.self
}

// Observe takes note that written was written, and of all members as they were read
// after that; began and ended enclose both. It reports whether the membership can be
// trusted: once it cannot, it never can again.
func (c *Core) Observe(began, ended time.Time, written Member, members []Member) bool {
	if c.Lapsed(ended) {
		return false
	}
	c.valid = began.Add(ValidFor)
	c.published, c.under, c.wroteLeaving = written.View, nil, written.Leaving
	there := make(map[string]struct{}, len(members))
	for _, m := range members {
		if m.Left && m.ID != c.self.ID {
			c.Ended([]string{m.ID})
			delete(c.peers, m.ID)
			continue
		}
		there[m.ID] = struct{}{}
		_, ended1 := c.ended[m.ID]
		if m.ID == c.self.ID || ended1 {
			continue
		}
		if p, known := c.gone[m.ID]; known {
			p.member = m // what it keeps matters until its sessions have ended
			c.gone[m.ID] = p
			continue
		}
		if p, known := c.peers[m.ID]; !known || p.member.Beat != m.Beat {
			c.peers[m.ID] = peer{member: m, seen: ended}
		}
	}
	c.judge(began, there)
	c.establish(began, ended)
	return true
}

// establish finds out whether the register can be believed to hold everybody who
// trusts itself. One that lost its contents looks like one of a new cluster; whoever
// stood in it before has lapsed after a while.
func (c *Core) establish(began, ended time.Time) {
	if c.first.IsZero() {
		c.first = ended
	}
	c.established = c.established || began.Sub(c.first) >= GoneAfter
	for _, p := range c.peers {
		c.established = c.established || len(p.member.View) > 0
	}
}

// judge finds who is gone, by what was read at the earliest at now.
func (c *Core) judge(now time.Time, there map[string]struct{}) {
	for id, p := range c.peers {
		if _, ok := there[id]; !ok && len(p.member.View) == 0 {
			delete(c.peers, id) // it has left
		} else if now.Sub(p.seen) >= GoneAfter {
			delete(c.peers, id)
			c.gone[id] = p
		}
	}
}

// Lapsed reports whether this membership cannot be trusted any more at now.
func (c *Core) Lapsed(now time.Time) bool {
	c.lapsed = c.lapsed || !c.valid.IsZero() && !now.Before(c.valid)
	return c.lapsed
}

// ValidUntil is until when this membership can be trusted; zero: not yet.
func (c *Core) ValidUntil() time.Time { return c.valid }

// Gone returns the members that are gone and whose sessions the store has to end.
func (c *Core) Gone() []string { return slices.Sorted(maps.Keys(c.gone)) }

// Ended takes note that nothing more can come of those members.
func (c *Core) Ended(ids []string) {
	for _, id := range ids {
		delete(c.gone, id)
		c.ended[id] = struct{}{}
	}
}

// Members returns all who are there, this one included, sorted by name.
func (c *Core) Members() []Member {
	all := []Member{c.self}
	for _, p := range c.peers {
		all = append(all, p.member)
	}
	return Sorted(all)
}

// Leave has this member give its actors to others.
func (c *Core) Leave() { c.self.Leaving = true }

// Target returns the view that follows from the members: who keeps actors.
func (c *Core) Target() []string {
	var ids []string
	if c.self.owner() {
		ids = append(ids, c.self.ID)
	}
	for id, p := range c.peers {
		if p.member.owner() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// View returns the view that Next writes: the target, for who keeps actors.
func (c *Core) View() []string { return c.self.View }

// Published reports whether what Next writes stands in the register.
func (c *Core) Published() bool {
	return len(c.under) == 0 && sameView(c.self.View, c.published) && c.self.Leaving == c.wroteLeaving
}

// Wants returns the view that this member should publish.
func (c *Core) Wants() []string {
	if !c.self.owner() || !c.established {
		return nil
	}
	return c.Target()
}

// Act has this member act by view from the next write on. By then it must have let
// go of what it loses by it.
func (c *Core) Act(view []string) { c.self.View = view }

// Homes returns where actors live, by what is known now. What the returned homes do
// not have here, this member must have let go of before it acts by Wants.
func (c *Core) Homes() *Homes {
	target := c.Target()
	h := &Homes{self: c.self.ID, owners: NewOwners(target), settled: c.self.owner() && !c.valid.IsZero()}
	for _, ps := range []map[string]peer{c.peers, c.gone} {
		for id, p := range ps {
			if len(p.member.View) == 0 || sameView(p.member.View, target) {
				continue
			}
			h.settled = false
			h.claims = append(h.claims, claim{id: id, owners: NewOwners(p.member.View)})
		}
	}
	for _, view := range append(slices.Clone(c.under), c.published, c.self.View) {
		if !sameView(view, target) {
			h.settled = false
			h.published = append(h.published, NewOwners(view))
		}
	}
	return h
}
