package integration

import (
	"context"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// Nodes that keep actors and answer nobody, and one that answers and keeps none: what each
// says to a load balancer while others come, leave, and lose touch.
func TestRolesAndReadiness(t *testing.T) {
	nats := ownNATS(t)
	n := newNodesAt(t, nats.URL(), "actors", "actors", "api")
	api := harness.NewClient(t, n.all[2].URL, n.key)
	clients, user := api.AllClients(t), ""
	for _, s := range api.Statuses(t, false) {
		if strings.HasPrefix(s.Email, "agent") {
			user = s.ID.String()
		}
	}
	calls := func(what string) {
		t.Helper()
		harness.Must(t, http.StatusOK)(api.Put(t.Context(), harness.Change{Action: "start_call", UserID: user, ClientID: clients[0].ID.String()}))
		if a := api.Availability(t, clients[0].ID); a.Available == nil || *a.Available {
			t.Errorf("%s: after a start the client is said to be available", what)
		}
		harness.Must(t, http.StatusOK)(api.Put(t.Context(), harness.Change{Action: "end_call", UserID: user}))
	}
	calls("three nodes")
	for path, want := range map[string]int{"/": 404, "/api/user-status": 404, "/healthz": 200, "/metrics": 200, "/readyz": 200} {
		if status, body := n.get(t.Context(), 0, path); status != want {
			t.Errorf("a node that keeps actors alone says %d to %s: %s", status, path, body)
		}
	}

	// One leaves: it says so until it has gone, and the other one has everything.
	n.all[0].Signal(syscall.SIGTERM)
	waitFor(t, hang, "the node that leaves to say so", func() bool { status, _ := n.get(t.Context(), 0, "/readyz"); return status != 200 })
	if code := n.all[0].Wait(hang); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	calls("one of the two has left")

	// The last one that keeps actors is stopped: the API has nobody to ask, and says so.
	// What it is asked meanwhile it does not do, or nobody knows.
	n.all[1].Signal(syscall.SIGSTOP)
	t.Cleanup(func() { n.all[1].Signal(syscall.SIGCONT) })
	waitFor(t, hang, "the API to say that nobody keeps actors", func() bool {
		status, _ := n.get(t.Context(), 2, "/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(n.all[2].Stderr(), "no node of the cluster keeps actors")
	})
	if r, err := api.Put(t.Context(), harness.Change{Action: "end_call", UserID: user}); err != nil || r.Code != messages.CodeUnavailable {
		t.Errorf("without anybody who keeps actors it says %v %s", err, r.Raw)
	}
	n.all[1].Signal(syscall.SIGCONT)
	waitFor(t, hang, "the node that was stopped to notice", func() bool { return n.metric(1, "dibs_cluster_fences_total") >= 1 })
	n.all[1].WaitReady(readyLimit)
	n.all[2].WaitReady(readyLimit)
	calls("it is back")

	// One joins: it is ready when it keeps what it should.
	n.again(0)
	calls("both are there again")
	for i, s := range n.status().Nodes {
		if keeps := s.Share > 0.3; s.State != "active" || keeps != (s.Role == "actors") {
			t.Errorf("node %d: %+v", i, s)
		}
	}
}

// get asks a node, and returns zero if it does not answer.
func (n *clusterNodes) get(ctx context.Context, i int, path string) (status int, body string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.all[i].URL+path, http.NoBody)
	if err != nil {
		n.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(b)
}
