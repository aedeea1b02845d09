package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

const replaced = 3 // nodes

// upgrade is three nodes that are replaced one after another, with the agents
// that call through them meanwhile.
type upgrade struct {
	t       *testing.T
	dibs    []harness.Dibs // each with a folder of its own
	args    [][]string
	servers []*harness.Server
	urls    []string // stay the same when a node is replaced
	http    *http.Client
	key     string
	clients []messages.ClientID

	requests, retried atomic.Int64
	slowest           atomic.Int64 // nanoseconds
	stop              atomic.Bool
}

// TestRollingUpgrade replaces the nodes of a cluster by those of another version,
// one after another, each when the one before is ready, while agents start and end
// calls through all of them. A request that meets a node on its way out is retried
// at another one with the same key; none fails, none takes effect twice, and I1,
// I2, I3 and I6 hold.
func TestRollingUpgrade(t *testing.T) {
	next := filepath.Join(t.TempDir(), "dibs")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags", "-X main.stamped=v99.0.0", "-o", next, "./cmd/dibs")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	first := onPostgres(t)
	connect := newDialer(t, first, 48, 64)
	u := newUpgrade(t, first)
	u.key = serviceKey(t, first)
	for i := range replaced {
		u.servers = append(u.servers, u.dibs[i].Serve(t, u.args[i]...))
		u.urls = append(u.urls, u.servers[i].URL)
	}
	for _, s := range u.servers {
		s.WaitReady(time.Minute)
	}
	team := connect(u.servers[0])
	u.clients = team.clients
	status := runOperation(t, "cluster-status", t.TempDir(), "DIBS_DATABASE_URL="+first.Store.DatabaseURL)
	if strings.Count(status, "active") != replaced {
		t.Errorf("the nodes are\n%s", status)
	}

	book := newLedger()
	var agents sync.WaitGroup
	var all []*agent
	for _, user := range team.users {
		a := &agent{user: user}
		all = append(all, a)
		agents.Go(func() {
			for !u.stop.Load() && u.step(book, a) {
			}
		})
	}
	enough := func() {
		n := book.acknowledged.Load() + 300
		waitFor(t, time.Minute, "calls", func() bool { return t.Failed() || book.acknowledged.Load() >= n })
	}
	enough()
	for i := range replaced {
		u.replace(i, next)
		enough()
	}
	u.stop.Store(true)
	agents.Wait()
	t.Logf("%d requests, %d of them retried, the slowest %v", u.requests.Load(), u.retried.Load(), time.Duration(u.slowest.Load()).Round(time.Millisecond))
	team.Client = harness.NewClient(t, u.servers[0].URL, u.key)
	db := openStore(t, first.Store)
	onCall := claimsIn(t, db)
	waitFor(t, readyLimit, "the last news of other nodes", func() bool { return sameCalls(team.Statuses(t, true), onCall) })
	checkAfterRestart(t, db, team, book, all)
}

func newUpgrade(t *testing.T, first harness.Dibs) *upgrade {
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	u := &upgrade{t: t, http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
	var peers []string
	for range replaced {
		peers = append(peers, harness.FreeAddr(t))
	}
	for i := range replaced {
		d := first
		d.Store.DataDir = t.TempDir()
		u.dibs = append(u.dibs, d)
		u.args = append(u.args, []string{
			"--cluster", "--node-name", string(rune('a' + i)), "--cluster-listen", peers[i], "--cluster-peers", strings.Join(peers, ","),
		})
	}
	return u
}

// replace does to a node what docs/operations.md says.
func (u *upgrade) replace(i int, binary string) {
	u.t.Helper()
	if code, took := u.servers[i].Terminate(stopLimit); code != 0 {
		u.t.Errorf("node %d ended with %d after %v", i, code, took)
	}
	u.dibs[i].Binary = binary
	u.servers[i] = u.dibs[i].ServeAt(u.t, u.servers[i].Addr, u.args[i]...)
	u.servers[i].WaitReady(time.Minute)
	if out := u.dibs[i].MustRun(u.t, "version"); !strings.Contains(out, "v99.0.0") {
		u.t.Errorf("node %d runs %s", i, out)
	}
}

// step sends one command for the agent, as load.step does, but through any node.
func (u *upgrade) step(book *ledger, a *agent) bool {
	change := harness.Change{UserID: a.user.String(), Action: "end_call"}
	if a.call == nil {
		change.Action, change.ClientID = "start_call", u.clients[rand.IntN(len(u.clients))].String()
	} else {
		change.CallID = a.call.call.String()
	}
	r, err := u.send(change)
	switch {
	case err != nil:
		u.t.Errorf("%s: %v", change.Action, err)
		return false
	case change.Action == "end_call" && r.Status == http.StatusOK:
		book.finished(a.call.call)
		a.call = nil
	case change.Action == "start_call" && r.Status == http.StatusOK:
		a.call = &claim{a.user, r.Call.ClientID, r.Call.ID, r.Call.Token}
		book.started(u.t, *a.call)
	case r.Status == http.StatusConflict && r.Code == messages.CodeClientBeingCalled:
	default:
		u.t.Errorf("%s by %s: status %d: %s", change.Action, a.user, r.Status, r.Raw)
		return false
	}
	return true
}

// send is what docs/operations.md asks of callers: where a node does not take the
// request, another one is asked, with the same key.
func (u *upgrade) send(change harness.Change) (r harness.Reply, err error) {
	u.requests.Add(1)
	begin, key := time.Now(), uuid.NewString()
	defer func() {
		for took := int64(time.Since(begin)); ; {
			if was := u.slowest.Load(); took <= was || u.slowest.CompareAndSwap(was, took) {
				return
			}
		}
	}()
	at := rand.IntN(replaced)
	for try := range 200 {
		r, err = u.once(at, change, key)
		if err == nil && r.Status != http.StatusBadGateway && r.Status != http.StatusServiceUnavailable {
			return r, nil
		}
		if try == 0 {
			u.retried.Add(1)
		}
		at = (at + 1) % replaced
		<-time.After(25 * time.Millisecond) // as a caller would
	}
	return r, err
}

func (u *upgrade) once(at int, change harness.Change, key string) (r harness.Reply, err error) {
	body, err := json.Marshal(change)
	if err != nil {
		return r, err
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, u.urls[at]+"/api/user-status", bytes.NewReader(body))
	if err != nil {
		return r, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+u.key)
	req.Header.Set("Idempotency-Key", key)
	resp, err := u.http.Do(req)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	r.Status = resp.StatusCode
	if r.Raw, err = io.ReadAll(resp.Body); err != nil {
		return r, err
	}
	return r, json.Unmarshal(r.Raw, &r)
}
