package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// clusterNodes is a cluster of real processes: their NATS servers are inside them, and they
// share a Postgres.
type clusterNodes struct {
	t     testing.TB
	d     harness.Dibs
	nats  string   // where a NATS of their own is; empty: inside them
	peers []string // addresses of the NATS servers inside them
	all   []*harness.Server
	dirs  []string // their data folders
	roles []string
	other map[int]string // nodes that are of another program than the rest
	key   string         // of a service
}

const clusterUsers, clusterClients = 24, 48

// newNodes starts a node for each role, and waits until they are ready.
func newNodes(t testing.TB, roles ...string) *clusterNodes {
	t.Helper()
	return newNodesAt(t, "", roles...)
}

// newNodesAt is newNodes with a NATS server of their own.
func newNodesAt(t testing.TB, nats string, roles ...string) *clusterNodes {
	t.Helper()
	n := &clusterNodes{t: t, d: onPostgres(t), nats: nats, roles: roles, other: map[int]string{}}
	n.open()
	return n
}

// open starts the nodes.
func (n *clusterNodes) open() {
	t := n.t
	t.Helper()
	n.d.MustRun(t, "migrate", "up")
	// Before the nodes are there: of what a command changes they hear late.
	people := agents(clusterUsers)
	importPeople(t, n.d, people...)
	importClients(t, n.d, clusterClients)
	n.key = serviceKey(t, n.d)
	for range n.roles {
		n.peers, n.dirs = append(n.peers, harness.FreeAddr(t)), append(n.dirs, t.TempDir())
		n.all = append(n.all, nil)
	}
	for i := range n.roles {
		n.start(i, harness.FreeAddr(t))
	}
	for _, s := range n.all {
		s.WaitReady(readyLimit)
	}
}

// start starts node i at an address.
func (n *clusterNodes) start(i int, address string) {
	d := n.d
	d.Store.DataDir = n.dirs[i]
	if binary, ok := n.other[i]; ok {
		d.Binary = binary
	}
	args := []string{"--cluster", "--node-name", nodeName(i), "--role", n.roles[i]}
	if n.nats != "" {
		args = append(args, "--nats-url", n.nats)
	} else {
		args = append(args, "--cluster-listen", n.peers[i], "--cluster-peers", strings.Join(n.peers, ","))
	}
	n.all[i] = d.ServeAt(n.t, address, args...)
}

func nodeName(i int) string { return "node-" + string(rune('a'+i)) }

// again starts node i anew where it was, and waits until it is ready.
func (n *clusterNodes) again(i int) {
	n.t.Helper()
	n.start(i, n.all[i].Addr)
	n.all[i].WaitReady(readyLimit)
}

// clusterStatus is what 'dibs cluster status' says.
type clusterStatus struct {
	Nodes []struct {
		Name, Incarnation, Role, State string
		Share                          float64
		Speaks                         int
	}
}

func (n *clusterNodes) status() (s clusterStatus) {
	n.t.Helper()
	args := []string{"cluster", "status", "--json"}
	if n.nats != "" {
		args = append(args, "--nats-url", n.nats)
	}
	if err := json.Unmarshal([]byte(n.d.MustRun(n.t, args...)), &s); err != nil {
		n.t.Fatal(err)
	}
	return s
}

// What one node acknowledged, all others know when they are asked next, and no refusal is
// older than its request (I4), whichever node keeps whose actor. One of the three keeps
// none.
func TestNodesOfAClusterAnswerAsOne(t *testing.T) {
	n := newNodes(t, "all", "all", "api")
	load := newClusterLoad(t, n)
	status := n.status()
	for i, want := range []struct{ name, role string }{{"node-a", "all"}, {"node-b", "all"}, {"node-c", "api"}} {
		if len(status.Nodes) != 3 || status.Nodes[i].Name != want.name || status.Nodes[i].Role != want.role ||
			status.Nodes[i].State != "active" || (status.Nodes[i].Share > 0.4) != (want.role == "all") {
			t.Fatalf("cluster status: %+v", status)
		}
	}
	for round := range 60 {
		user, other, client := load.users[round%4], load.users[4+round%4], load.clients[round%4]
		at := func(i int) *harness.Client { return load.at[(round+i)%3] }
		start := func(c *harness.Client, user string, status int) harness.Reply {
			t.Helper()
			return harness.Must(t, status)(c.Put(t.Context(), harness.Change{Action: "start_call", UserID: user, ClientID: client.String()}))
		}
		if a := at(1).Availability(t, client); a.Available == nil || !*a.Available {
			t.Fatalf("before the start: %s", a.Raw)
		}
		start(at(0), user, http.StatusOK)
		if a := at(1).Availability(t, client); a.Available == nil || *a.Available {
			t.Fatalf("after the start was acknowledged: %s", a.Raw)
		}
		if r := start(at(2), other, http.StatusConflict); r.Caller == nil || r.Caller.ID.String() != user {
			t.Fatalf("the other one was told %s", r.Raw)
		}
		harness.Must(t, http.StatusOK)(at(1).Put(t.Context(), harness.Change{Action: "end_call", UserID: user}))
		start(at(2), other, http.StatusOK)
		harness.Must(t, http.StatusOK)(at(0).Put(t.Context(), harness.Change{Action: "end_call", UserID: other}))
	}
}

// hang is longer than anything here takes, even on a machine that does much else.
const hang = 30 * time.Second

// A file cannot be shared.
func TestANodeOfAClusterNeedsADatabase(t *testing.T) {
	p, code := onSQLite(t).Run(t, "serve", "--listen", harness.FreeAddr(t), "--cluster", "--nats-url", "nats://127.0.0.1:1")
	if code != 2 || !strings.Contains(p.Stderr(), "--database-url") {
		t.Errorf("it ended with %d: %s", code, p.Stderr())
	}
}
