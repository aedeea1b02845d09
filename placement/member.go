package placement

import (
	"cmp"
	"slices"
	"time"
)

const (
	// BeatEvery is how often a member writes itself to the register.
	BeatEvery = 500 * time.Millisecond
	// GoneAfter is how long a member may stay unchanged before it counts as gone.
	GoneAfter = 2 * time.Second
	// ValidFor is how long a member trusts its own membership after it began the last
	// write that succeeded. The difference to GoneAfter is for clocks that do not run
	// at the same rate.
	ValidFor = 1750 * time.Millisecond
)

// Role is what a node does.
type Role string

const (
	RoleAll    Role = "all"    // serves the API and keeps actors
	RoleAPI    Role = "api"    // keeps no actors
	RoleActors Role = "actors" // keeps actors alone
)

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return r == RoleAll || r == RoleAPI || r == RoleActors }

// Keeps reports whether a node of that role keeps actors.
func (r Role) Keeps() bool { return r == RoleAll || r == RoleActors }

// Member is a node as the register has it. It is JSON there, for people who look; a
// field may be added, and none may change its name or its meaning: nodes of two
// versions read the same register while they are updated.
type Member struct {
	// ID is the incarnation: a new one at every start, and whenever a node joins anew.
	ID   string `json:"id"`
	Name string `json:"name"` // for people
	Role Role   `json:"role"`
	// Release is the version of the program, for people.
	Release string `json:"release,omitempty"`
	// Speaks is the highest version of node-to-node messages that it understands; it
	// understands all before.
	Speaks int `json:"speaks"`
	// Beat counts the writes.
	Beat uint64 `json:"beat"`
	// Leaving says that it gives its actors to others.
	Leaving bool `json:"leaving,omitempty"`
	// Left says that it is no member any more, and that nothing comes of it any more.
	Left bool `json:"left,omitempty"`
	// View is the members by which it decides which actors it keeps; empty: it keeps
	// none.
	View []string `json:"view,omitempty"`
	// Lag is how long its last write took, for people.
	Lag time.Duration `json:"lag_ns,omitempty"`
}

// owner reports whether the member wants to keep actors.
func (m Member) owner() bool { return m.Role.Keeps() && !m.Leaving }

func sameView(a, b []string) bool { return slices.Equal(a, b) }

// Sorted returns members by their names.
func Sorted(members []Member) []Member {
	return slices.SortedFunc(slices.Values(members), func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}
