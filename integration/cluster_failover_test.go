package integration

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/placement"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

var clusterRounds = flag.Int("cluster.rounds", 1, "how often a node is killed, and how often one leaves (TestFailover)")

// Nodes are killed and leave under load. Nothing acknowledged is lost, who leaves costs
// nobody a failed request, and what an unlucky caller waits is told apart by whether the
// actor of the request's user or client lived at that node. The limits here are for
// machines that do much else; the figures are in docs/operations.md.
func TestFailover(t *testing.T) {
	t.Run("NATS inside the nodes", func(t *testing.T) { failover(t, newNodes(t, "all", "all", "all")) })
	t.Run("NATS of its own", func(t *testing.T) {
		nats := ownNATS(t)
		n := newNodesAt(t, nats.URL(), "all", "all", "all")
		failover(t, n)

		stranger := n.d
		stranger.Store.DataDir = t.TempDir()
		p, code := stranger.Run(t, "serve", "--listen", harness.FreeAddr(t), "--nats-url", nats.URL())
		if code != 4 || !strings.Contains(p.Stderr(), "--cluster") {
			t.Errorf("a server that would write what the nodes do not know of ended with %d: %s", code, p.Stderr())
		}
	})
}

// ownNATS starts a NATS server that is in no node.
func ownNATS(t testing.TB) *natstest.Server {
	t.Helper()
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
	return nats
}

func failover(t *testing.T, n *clusterNodes) {
	t.Helper()
	load := newClusterLoad(t, n)
	f := &failures{load: load, byCaller: make([][]sample, len(load.users))}
	f.run()
	load.after(1000)
	var rounds []lossFigures
	for i := range *clusterRounds {
		rounds = append(rounds, f.lose(t, "kill", i%len(n.all)), f.lose(t, "leave", (i+1)%len(n.all)))
	}
	_, failed := load.stop()
	load.check()
	tabulate(t, rounds)
	for _, r := range rounds {
		if r.how == "leave" && r.failed > 0 {
			t.Errorf("%d requests failed when %s left", r.failed, r.node)
		}
		if r.others > hang || r.its > hang {
			t.Errorf("a request took %v, another one %v", r.its, r.others)
		}
	}
	if failed > 0 {
		t.Logf("%d requests were not answered with success or refusal", failed)
	}
}

// failures is a load on all nodes, of which one after the other goes away. Each user calls
// clients of their own, so that no third actor has a say.
type failures struct {
	load     *clusterLoad
	away     atomic.Int64 // the node that is not asked, plus one; 0: none
	under    [8]atomic.Int64
	byCaller [][]sample // of each user, by its own goroutine until the load has stopped
}

// sample is one request.
type sample struct {
	user, client [16]byte
	began, ended time.Time
	failed       bool
}

// thinks is how long a caller waits between two requests.
const thinks = 25 * time.Millisecond

func (f *failures) run() {
	ctx, cancel := context.WithCancel(context.Background())
	l := f.load
	l.cancel = cancel
	l.t.Cleanup(func() { cancel(); l.work.Wait() })
	for i, user := range l.users {
		l.work.Go(func() { f.calls(ctx, i, user, rand.New(rand.NewPCG(uint64(i), 2))) })
	}
}

func (f *failures) calls(ctx context.Context, i int, user string, rnd *rand.Rand) {
	l := f.load
	each := len(l.clients) / len(l.users)
	for k := 0; ctx.Err() == nil; k++ {
		client := l.clients[i*each+(k/2)%each]
		change := harness.Change{Action: "start_call", UserID: user, ClientID: client.String()}
		if k%2 == 1 {
			change = harness.Change{Action: "end_call", UserID: user}
		}
		node := rnd.IntN(len(l.at))
		for node == int(f.away.Load())-1 {
			node = rnd.IntN(len(l.at))
		}
		f.under[node].Add(1)
		if node == int(f.away.Load())-1 { // it went away in between
			f.under[node].Add(-1)
			k--
			continue
		}
		began := time.Now()
		before := len(l.failuresOf(user))
		l.request(ctx, l.at[node], user, change)
		f.under[node].Add(-1)
		s := sample{client: client.UUID, began: began, ended: time.Now(), failed: len(l.failuresOf(user)) > before}
		if id, err := messages.ParseID(user); err == nil {
			s.user = id
		}
		f.note(i, s)
		select {
		case <-time.After(thinks):
		case <-ctx.Done():
		}
	}
}

func (f *failures) note(i int, s sample) {
	f.load.mu.Lock()
	defer f.load.mu.Unlock()
	f.byCaller[i] = append(f.byCaller[i], s)
}

// lossFigures is what the loss of a node cost.
type lossFigures struct {
	how, node   string
	its, others time.Duration // the slowest request for an actor of it, and any other one
	nIts, nOth  int
	p99, before time.Duration // of the others; and of all in the second before
	failed      int
	took        time.Duration // until it had ended
}

// lose has a node go away and come back.
func (f *failures) lose(t *testing.T, how string, i int) lossFigures {
	t.Helper()
	n := f.load.n
	var ids []string
	gone := ""
	for _, s := range n.status().Nodes {
		if s.State == "active" {
			ids = append(ids, s.Incarnation)
			if s.Name == nodeName(i) {
				gone = s.Incarnation
			}
		}
	}
	if len(ids) != len(n.all) || gone == "" {
		t.Fatalf("not all nodes are there: %+v", n.status())
	}
	began := time.Now()
	f.away.Store(int64(i) + 1)
	if how == "kill" {
		waitFor(t, hang, "requests at the node to be answered", func() bool { return f.under[i].Load() == 0 })
		began = time.Now()
		n.all[i].Kill()
	} else if code, _ := n.all[i].Terminate(hang); code != 0 {
		t.Errorf("the node that left ended with %d", code)
	}
	r := lossFigures{how: how, node: nodeName(i), took: time.Since(began)}
	f.load.untilAllAnswered(time.Now())
	f.load.after(f.load.count() + 500)
	f.tell(&r, began, time.Now(), placement.NewOwners(ids), gone)
	n.again(i)
	f.away.Store(0)
	return r
}

// tell tells the requests that were under way between two moments apart.
func (f *failures) tell(r *lossFigures, from, to time.Time, owners placement.Owners, gone string) {
	f.load.mu.Lock()
	defer f.load.mu.Unlock()
	var others, before []time.Duration
	for _, samples := range f.byCaller {
		for _, s := range samples {
			took := s.ended.Sub(s.began)
			if s.ended.Before(from) && from.Sub(s.ended) < time.Second {
				before = append(before, took)
			}
			if s.ended.Before(from) || s.began.After(to) {
				continue
			}
			if s.failed {
				r.failed++
			}
			if owners.Home(s.user) == gone || owners.Home(s.client) == gone {
				r.its, r.nIts = max(r.its, took), r.nIts+1
				continue
			}
			others = append(others, took)
		}
	}
	r.nOth = len(others)
	r.others, r.p99 = slowest(others)
	_, r.before = slowest(before)
}

// slowest returns the slowest request, and how long all but one in a hundred took at most.
func slowest(took []time.Duration) (most, p99 time.Duration) {
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return took[len(took)-1], took[len(took)*99/100]
}

func tabulate(t *testing.T, rounds []lossFigures) {
	t.Helper()
	slices.SortStableFunc(rounds, func(a, b lossFigures) int { return cmp.Compare(a.how, b.how) })
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "how\tnode\tslowest of its actors\tof\tslowest of others\tp99\tof\tp99 before\tfailed\tended after")
	for _, r := range rounds {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%v\t%d\t%v\t%v\t%d\t%v\t%d\t%v\n", r.how, r.node, r.its.Round(time.Millisecond), r.nIts,
			r.others.Round(time.Millisecond), r.p99.Round(time.Millisecond), r.nOth, r.before.Round(time.Millisecond), r.failed, r.took.Round(time.Millisecond))
	}
	_ = w.Flush()
	t.Logf("%s", "\n"+b.String())
}
