package placement

// Homes is where actors live, as one node knows it at one moment. It is never
// changed. The zero value knows of no node.
type Homes struct {
	self      string
	owners    Owners   // by the latest members
	published []Owners // other views of this node that others may have read
	settled   bool     // everybody acts by owners
	claims    []claim
}

// claim is a view by which another member may still keep actors.
type claim struct {
	id     string
	owners Owners
}

// Home returns the member at which the actor of id lives, and whether that is this
// node and it may wake the actor now. Empty: nobody may at the moment, ask again.
func (h *Homes) Home(id [16]byte) (member string, here bool) {
	home := h.owners.Home(id)
	if home != h.self || home == "" {
		return home, false
	}
	if h.settled || h.mine(id) {
		return home, true
	}
	return "", false
}

func (h *Homes) mine(id [16]byte) bool {
	for _, o := range h.published {
		if o.Home(id) != h.self {
			return false
		}
	}
	for _, c := range h.claims {
		if c.owners.Home(id) == c.id {
			return false
		}
	}
	return true
}

// Settled reports whether this node keeps all that it should.
func (h *Homes) Settled() bool { return h.settled }

// Alone reports whether every actor lives at this node.
func (h *Homes) Alone() bool { return h.settled && len(h.owners.ids) == 1 && h.owners.ids[0] == h.self }

// Owners returns the members that keep actors.
func (h *Homes) Owners() Owners { return h.owners }
