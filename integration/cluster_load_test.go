package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// clusterLoad is users who start and end calls, each one thing after the other, and what
// they were told.
type clusterLoad struct {
	t       testing.TB
	n       *clusterNodes
	users   []string
	clients []messages.ClientID
	at      []*harness.Client // a service at each node

	cancel context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex
	told      map[string]told // of each user
	last      map[string]time.Time
	node      map[string]int
	requests  int
	failures  []string
	failed    map[string][]string // of each user
	slowest   time.Duration
	recovered time.Time
}

// told is what a user may rely on.
type told struct {
	sure bool             // the last request was answered
	call *messages.CallID // the call that the user is in, nil: none
}

func newClusterLoad(t testing.TB, n *clusterNodes) *clusterLoad {
	t.Helper()
	l := &clusterLoad{t: t, n: n, told: map[string]told{}, last: map[string]time.Time{}, node: map[string]int{}, failed: map[string][]string{}}
	for _, s := range n.all {
		l.at = append(l.at, harness.NewClient(t, s.URL, n.key))
	}
	for _, c := range l.at[0].AllClients(t) {
		l.clients = append(l.clients, c.ID)
	}
	for _, s := range l.at[0].Statuses(t, false) {
		if strings.HasPrefix(s.Email, "agent") {
			l.users = append(l.users, s.ID.String())
		}
	}
	if len(l.users) != clusterUsers || len(l.clients) != clusterClients {
		t.Fatalf("%d users and %d clients", len(l.users), len(l.clients))
	}
	return l
}

// run has all users call through the nodes given, in turn.
func (l *clusterLoad) run(through ...*harness.Server) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.t.Cleanup(func() { cancel(); l.work.Wait() })
	for i, user := range l.users {
		s := through[i%len(through)]
		for j := range l.n.all {
			if l.n.all[j] == s {
				l.node[user] = j
			}
		}
		c := l.at[l.node[user]]
		l.work.Go(func() { l.calls(ctx, c, user, rand.New(rand.NewPCG(uint64(i), 1))) })
	}
}

func (l *clusterLoad) calls(ctx context.Context, c *harness.Client, user string, rnd *rand.Rand) {
	for ctx.Err() == nil {
		client := l.clients[rnd.IntN(len(l.clients))]
		l.request(ctx, c, user, harness.Change{Action: "start_call", UserID: user, ClientID: client.String()})
		l.request(ctx, c, user, harness.Change{Action: "end_call", UserID: user})
	}
}

// request makes one request and notes what it says. A request under way when ctx ends is
// waited for.
func (l *clusterLoad) request(ctx context.Context, c *harness.Client, user string, change harness.Change) {
	if ctx.Err() != nil {
		return
	}
	began := time.Now()
	r, err := c.Put(context.WithoutCancel(ctx), change)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.told[user]
	l.requests++
	l.slowest = max(l.slowest, took)
	switch {
	case err == nil && r.Status == http.StatusOK && change.Action == "start_call":
		if before.sure && before.call != nil {
			l.t.Errorf("user %s is in call %s, and began another", user, before.call)
		}
		l.told[user] = told{sure: true, call: &r.Call.ID}
	case err == nil && r.Status == http.StatusOK:
		if r.User == nil || r.User.IsOnCall {
			l.t.Errorf("after an end: %s", r.Raw)
		}
		l.told[user] = told{sure: true}
	case err == nil && r.Code == messages.CodeClientBeingCalled:
		if before.call != nil && before.sure {
			l.t.Errorf("user %s is in call %s, and was told of another client's: %s", user, before.call, r.Raw)
		}
	case err == nil && r.Code == messages.CodeUserOnCall:
		if before.sure && (before.call == nil || r.Call != nil && r.Call.ID != *before.call) {
			l.t.Errorf("user %s was told to be in a call that is over: %s", user, r.Raw)
		}
	default:
		l.told[user] = told{}
		l.failed[user] = append(l.failed[user], change.Action)
		l.failures = append(l.failures, fmt.Sprintf("%s of %s after %v: %v %s", change.Action, user, took, err, r.Raw))
		return
	}
	l.last[user] = began
}

// failuresOf returns what went wrong for a user.
func (l *clusterLoad) failuresOf(user string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed[user]
}

func (l *clusterLoad) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

// after waits until so many requests were made.
func (l *clusterLoad) after(n int) {
	l.t.Helper()
	waitFor(l.t, 2*hang, fmt.Sprintf("%d requests", n), func() bool { return l.count() >= n })
}

// untilAllAnswered waits until every user was answered who asked after at.
func (l *clusterLoad) untilAllAnswered(at time.Time) {
	l.t.Helper()
	l.untilAnswered(at)
	l.recovered = time.Now()
}

// untilAnswered is untilAllAnswered for users of some nodes; none: of all.
func (l *clusterLoad) untilAnswered(at time.Time, of ...int) {
	l.t.Helper()
	waitFor(l.t, 2*hang, "all users to be answered", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, user := range l.users {
			mine := len(of) == 0
			for _, i := range of {
				mine = mine || l.node[user] == i
			}
			if mine && l.last[user].Before(at) {
				return false
			}
		}
		return true
	})
}

// stop waits for the requests under way.
func (l *clusterLoad) stop() (slowest time.Duration, failed int) {
	l.cancel()
	l.work.Wait()
	for i, f := range l.failures {
		if i < 10 {
			l.t.Logf("failed: %s", f)
		}
	}
	return l.slowest, len(l.failures)
}

// check compares what users were told with the store: nothing acknowledged is lost (I3),
// and no invariant is broken.
func (l *clusterLoad) check() {
	l.t.Helper()
	t, ok := l.t.(*testing.T)
	if !ok {
		return
	}
	claims := claimsIn(t, openStore(t, l.n.d.Store))
	byUser := map[string]claim{}
	for user, c := range claims {
		byUser[user.String()] = c
	}
	for user, told := range l.told {
		c, there := byUser[user]
		switch {
		case !told.sure:
		case told.call == nil && there:
			t.Errorf("user %s has ended, and is in call %s", user, c.call)
		case told.call != nil && !there:
			t.Errorf("user %s is in call %s, and the store does not have it", user, told.call)
		case told.call != nil && c.call != *told.call:
			t.Errorf("user %s is in call %s, and the store has %s", user, told.call, c.call)
		}
	}
}

func (n *clusterNodes) ready(i int) bool {
	resp, err := http.Get(n.all[i].URL + "/readyz") //nolint:noctx // a test's
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

// metric returns the value of a metric without labels, -1 if there is none.
func (n *clusterNodes) metric(i int, name string) float64 {
	resp, err := http.Get(n.all[i].URL + "/metrics") //nolint:noctx // a test's
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			if f, err := strconv.ParseFloat(value, 64); err == nil {
				return f
			}
		}
	}
	return -1
}
