package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// clusterNodes is a cluster of real processes: their NATS servers are inside them, and they
// share a Postgres.
type clusterNodes struct {
	t     testing.TB
	d     harness.Dibs
	nats  string   // where a NATS of their own is; empty: inside them
	peers []string // addresses of the NATS servers inside them
	all   []*harness.Server
	key   string // of a service
}

const clusterUsers, clusterClients = 24, 40

// newNodes starts a node for each role, and waits until they are ready.
func newNodes(t testing.TB, roles ...string) *clusterNodes {
	t.Helper()
	return newNodesAt(t, "", roles...)
}

// newNodesAt is newNodes with a NATS server of their own.
func newNodesAt(t testing.TB, nats string, roles ...string) *clusterNodes {
	t.Helper()
	n := &clusterNodes{t: t, d: onPostgres(t), nats: nats}
	n.d.MustRun(t, "migrate", "up")
	// Before the nodes are there: of what a command changes they hear late.
	people := agents(clusterUsers)
	importPeople(t, n.d, people...)
	importClients(t, n.d, clusterClients)
	n.key = serviceKey(t, n.d)
	for range roles {
		n.peers = append(n.peers, harness.FreeAddr(t))
	}
	for i, role := range roles {
		n.all = append(n.all, n.start(i, role))
	}
	for _, s := range n.all {
		s.WaitReady(readyLimit)
	}
	return n
}

// start starts node i, in a folder of its own.
func (n *clusterNodes) start(i int, role string) *harness.Server {
	d := n.d
	d.Store.DataDir = n.t.TempDir()
	args := []string{"--cluster", "--node-name", "node-" + string(rune('a'+i)), "--role", role}
	if n.nats != "" {
		return d.Serve(n.t, append(args, "--nats-url", n.nats)...)
	}
	return d.Serve(n.t, append(args, "--cluster-listen", n.peers[i], "--cluster-peers", strings.Join(n.peers, ","))...)
}

// What one node acknowledged, all others know when they are asked next, and no refusal is
// older than its request (I4), whichever node keeps whose actor. One of the three keeps
// none.
func TestNodesOfAClusterAnswerAsOne(t *testing.T) {
	n := newNodes(t, "all", "all", "api")
	load := newClusterLoad(t, n)
	var status struct {
		Nodes []struct {
			Name, Role, State string
			Share             float64
		}
	}
	if err := json.Unmarshal([]byte(n.d.MustRun(t, "cluster", "status", "--json")), &status); err != nil {
		t.Fatal(err)
	}
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

// A node is killed under load: nothing acknowledged is lost, and its actors answer again.
func TestANodeOfAClusterIsKilled(t *testing.T) {
	n := newNodes(t, "all", "all", "all")
	load := newClusterLoad(t, n)
	load.run(n.all[1], n.all[2]) // whose callers are those of the nodes that stay
	load.after(300)
	n.all[0].Kill()
	killed := time.Now()
	load.untilAllAnswered(killed)
	slowest, errs := load.stop()
	t.Logf("slowest request %v; all users were answered again %v after the kill; %d requests were not answered with success or refusal",
		slowest, load.recovered.Sub(killed), errs)
	load.check()
}

// A node leaves under load: nobody notices. The nodes stand in the bucket of a NATS server
// of their own.
func TestANodeOfAClusterLeaves(t *testing.T) {
	bin, err := natstest.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	nats, err := natstest.NewServer(bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := nats.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nats.Kill() })
	n := newNodesAt(t, nats.URL(), "all", "all", "all")
	load := newClusterLoad(t, n)
	load.run(n.all[1], n.all[2])
	load.after(300)
	code, took := n.all[0].Terminate(hang)
	if code != 0 {
		t.Fatalf("the node that left ended with %d", code)
	}
	load.after(load.count() + 300)
	slowest, errs := load.stop()
	t.Logf("leaving took %v; slowest request %v", took, slowest)
	if errs > 0 {
		t.Errorf("%d requests failed", errs)
	}
	load.check()

	stranger := n.d
	stranger.Store.DataDir = t.TempDir()
	p, code := stranger.Run(t, "serve", "--listen", harness.FreeAddr(t), "--nats-url", nats.URL())
	if code != 4 || !strings.Contains(p.Stderr(), "--cluster") {
		t.Errorf("a server that would write what the nodes do not know of ended with %d: %s", code, p.Stderr())
	}
}

// A file cannot be shared.
func TestANodeOfAClusterNeedsADatabase(t *testing.T) {
	p, code := onSQLite(t).Run(t, "serve", "--listen", harness.FreeAddr(t), "--cluster", "--nats-url", "nats://127.0.0.1:1")
	if code != 2 || !strings.Contains(p.Stderr(), "--database-url") {
		t.Errorf("it ended with %d: %s", code, p.Stderr())
	}
}

// A node that was stopped for longer than others wait for it wakes up as somebody else: it
// has written nothing in between, and answers from the store.
func TestAPausedNodeOfAClusterWakesUp(t *testing.T) {
	n := newNodes(t, "all", "all", "all")
	load := newClusterLoad(t, n)
	load.run(n.all...) // those of the paused node wait
	load.after(300)
	n.all[0].Signal(syscall.SIGSTOP)
	t.Cleanup(func() { n.all[0].Signal(syscall.SIGCONT) })
	at := time.Now()
	load.untilAnswered(at, 1, 2)
	n.all[0].Signal(syscall.SIGCONT)
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
