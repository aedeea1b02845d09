package chaos

import (
	"slices"
	"testing"
)

// family is a part of the world and the ways in which it breaks.
type family struct {
	name  string
	kinds []kind
}

// kind is a kind of fault, and in which shapes there can be one.
type kind struct {
	name   string
	shapes []shape
}

// families are all faults there are, in the order of the report. A run is complete
// when each of them came that its shapes can have: whatever is left out of
// [world.makers], because the machine does not allow it, is missing.
func families() []family {
	anywhere, apart, together := []shape{shared, cluster, peers}, []shape{shared, cluster}, []shape{peers}
	all := func(shapes []shape, names ...string) (some []kind) {
		for _, n := range names {
			some = append(some, kind{n, shapes})
		}
		return some
	}
	return []family{
		{"Nodes", all(anywhere, "node killed", "node paused", "node told to stop")},
		{"Postgres", all(anywhere, "Postgres stopped at once", "Postgres paused")},
		{"NATS", all(apart, "NATS killed", "NATS paused")},
		{"Links", slices.Concat(
			all(anywhere, linkKinds(toPostgres)...), all(apart, linkKinds(toNATS)...),
			all(together, "node cut from node", "node refused by node", "slow way from node to node"),
		)},
		{"Disks", slices.Concat(all(apart, "disk of NATS full"), all(together, "disk of a node's NATS full"), all(anywhere, "built-in store: disk full"))},
		{"Clocks", all(anywhere, "clock of Postgres moved", "clock of a node moved")},
		{"Built-in store", all(anywhere, "built-in store: killed", "built-in store: paused")},
	}
}

// linkKinds are the ways in which a link breaks.
func linkKinds(to string) []string {
	return []string{"cut from " + to + ", both ways", "answers lost of " + to, "refused by " + to, "slow way to " + to}
}

// missing are the kinds that did not come in a run of these shapes.
func missing(shapes []shape, came map[string]int) (kinds []string) {
	for _, f := range families() {
		for _, k := range f.kinds {
			possible := slices.ContainsFunc(k.shapes, func(s shape) bool { return slices.Contains(shapes, s) })
			if possible && came[k.name] == 0 {
				kinds = append(kinds, k.name)
			}
		}
	}
	return kinds
}

// known reports whether a kind is of a family.
func known(name string) bool {
	return slices.ContainsFunc(families(), func(f family) bool {
		return slices.ContainsFunc(f.kinds, func(k kind) bool { return k.name == name })
	})
}

// TestReportNamesWhatDidNotCome: a long run in which a fault never came must not pass
// for one that held out against everything, and neither may one with a violation.
func TestReportNamesWhatDidNotCome(t *testing.T) {
	r := newReport(7, []shape{shared, cluster, peers})
	r.Lasted = completeFrom
	var all []incident
	for _, f := range families() {
		for _, k := range f.kinds {
			all = append(all, incident{Kind: k.name})
		}
	}
	for _, s := range r.shapes {
		r.add(part{Shape: s, Incidents: all, Results: []conclusion{{Deployment: "team"}}})
	}
	says := func(want string) {
		t.Helper()
		r.Missing = missing(r.shapes, r.came())
		if got := r.verdict(); got != want {
			t.Errorf("the report says %q, want %q", got, want)
		}
	}
	says("no violation")
	for i := range all {
		all[i].NotMade = all[i].Kind == "NATS paused"
	}
	says("no violation, but not every fault came")
	if want := []string{"NATS paused"}; !slices.Equal(r.Missing, want) {
		t.Errorf("missing are %q, want %q", r.Missing, want)
	}
	r.shapes = []shape{peers} // which have none
	says("no violation")
	r.Parts[0].Results[0].Violations = []string{"I3: lost"}
	says("1 violation")
}
