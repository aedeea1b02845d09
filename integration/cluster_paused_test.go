package integration

import (
	"flag"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/placement"
)

var clusterPause = flag.Duration("cluster.pause", 0, "how long a node is stopped, at least (TestAPausedNodeOfAClusterWakesUp)")

// A node that was stopped for longer than others wait for it wakes up as somebody else: it
// has written nothing in between, and answers from the store. What it is asked while it is
// stopped it finds when it wakes up, before it knows how long it was away.
func TestAPausedNodeOfAClusterWakesUp(t *testing.T) {
	n := newNodes(t, "all", "all", "all")
	load := newClusterLoad(t, n)
	taken := newTakenOver(t, load)
	load.run(n.all...) // those of the paused node wait
	load.after(300)
	taken.begin()
	n.all[0].Signal(syscall.SIGSTOP)
	t.Cleanup(func() { n.all[0].Signal(syscall.SIGCONT) })
	at := time.Now()
	load.untilAnswered(at, 1, 2)
	taken.handOn()
	asked := taken.ask()
	waitFor(t, *clusterPause+hang, "the pause to be long enough", func() bool { return time.Since(at) >= *clusterPause })
	n.all[0].Signal(syscall.SIGCONT)
	asked()
	load.after(load.count() + 500)
	waitFor(t, hang, "the node to be ready again", func() bool { return n.ready(0) })
	load.untilAllAnswered(time.Now())
	slowest, errs := load.stop()
	t.Logf("slowest request %v, %d requests were not answered with success or refusal", slowest, errs)
	load.check()
	if m := n.metric(0, "dibs_cluster_fences_total"); m < 1 {
		t.Errorf("the node that was paused has not fenced itself")
	}
}

// takenOver is two users and a client whose actors live at node a, and are changed by
// others while that is stopped.
type takenOver struct {
	t            *testing.T
	load         *clusterLoad
	first, later string
	client       messages.ClientID
}

// newTakenOver takes them out of the load.
func newTakenOver(t *testing.T, load *clusterLoad) *takenOver {
	t.Helper()
	var ids []string
	a := ""
	for _, s := range load.n.status().Nodes {
		ids = append(ids, s.Incarnation)
		if s.Name == nodeName(0) {
			a = s.Incarnation
		}
	}
	owners := placement.NewOwners(ids)
	var users []string
	for _, u := range load.users {
		id, err := messages.ParseID(u)
		if err == nil && owners.Home(id) == a {
			users = append(users, u)
		}
	}
	k := slices.IndexFunc(load.clients, func(c messages.ClientID) bool { return owners.Home(c.UUID) == a })
	if len(users) < 2 || k < 0 {
		t.Fatalf("%d users live at the node, and client %d", len(users), k)
	}
	o := &takenOver{t: t, load: load, first: users[0], later: users[1], client: load.clients[k]}
	load.clients = slices.Delete(load.clients, k, k+1)
	load.users = slices.DeleteFunc(load.users, func(u string) bool { return u == o.first || u == o.later })
	return o
}

func (o *takenOver) start(user string) {
	o.t.Helper()
	harness.Must(o.t, http.StatusOK)(o.load.at[1].Put(o.t.Context(), harness.Change{Action: "start_call", UserID: user, ClientID: o.client.String()}))
}

// begin has the first user call the client.
func (o *takenOver) begin() { o.t.Helper(); o.start(o.first) }

// handOn has the second user call the client, through another node.
func (o *takenOver) handOn() {
	o.t.Helper()
	harness.Must(o.t, http.StatusOK)(o.load.at[1].Put(o.t.Context(), harness.Change{Action: "end_call", UserID: o.first}))
	o.start(o.later)
}

// ask asks the node that is stopped what it may remember otherwise; done waits for its
// answers.
func (o *takenOver) ask() (done func()) {
	c := o.load.at[0]
	var asked sync.WaitGroup
	for range 4 {
		asked.Go(func() {
			r, err := c.Do(o.t.Context(), http.MethodGet, "/api/clients/"+o.client.String()+"/availability", nil)
			current := r.Available != nil && !*r.Available && r.Caller != nil && r.Caller.ID.String() == o.later
			if err != nil || !current && !away(r) {
				o.t.Errorf("the node that was stopped says of the client: %v %s", err, r.Raw)
			}
		})
		asked.Go(func() { // who began before the pause, and is free since
			r, err := c.Put(o.t.Context(), harness.Change{Action: "start_call", UserID: o.first, ClientID: o.client.String()})
			current := r.Code == messages.CodeClientBeingCalled && r.Caller != nil && r.Caller.ID.String() == o.later
			if err != nil || !current && !away(r) {
				o.t.Errorf("the node that was stopped told the first user: %v %s", err, r.Raw)
			}
		})
	}
	return asked.Wait
}

// away reports whether a node says nothing: after a long pause it has no connection to the
// database for a moment.
func away(r harness.Reply) bool { return r.Code == messages.CodeUnavailable }
