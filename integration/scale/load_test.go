package scale

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/fleet"
)

// callers are the agents of a load: users who are on no call yet, and clients whom
// nobody calls.
func (d *deployment) callers(t *testing.T, agents int) fleet.Fleet {
	t.Helper()
	free := d.users[d.size.calls:]
	if len(free) < agents {
		t.Fatalf("%d users are free, and %d are needed", len(free), agents)
	}
	return fleet.Fleet{Network: d.network(t), Users: free[:agents], Clients: d.clients[d.size.calls:]}
}

// load has agents start and end calls flat out, of any client, and returns what
// they saw. All of it must be in order.
func (d *deployment) load(t *testing.T, agents int, warmUp, counted time.Duration) *fleet.Tally {
	t.Helper()
	f := d.callers(t, agents)
	tally, err := fleet.Run(t.Context(), fleet.Plan{
		Agents: agents, Clients: len(f.Clients), Lease: 5 * time.Minute, WarmUp: warmUp, Time: counted, Seed: 1,
	}, f)
	if err != nil {
		t.Fatal(err)
	}
	if tally.Wrong() > 0 || tally.Broken > 0 {
		t.Errorf("%d requests went wrong and %d promises were broken: %v %v", tally.Wrong(), tally.Broken, tally.Details, tally.Violations)
	}
	return tally
}
