package integration

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/placement"
)

// What a cluster costs. Absolute numbers are the machine's; what counts is the ratio, or
// the difference, of two that are measured by turns in one run.

const (
	benchRounds = 9
	benchFor    = 700 * time.Millisecond // of a round
)

// BenchmarkClusterOfOne compares the only node of a cluster with a single process: calls
// (start and end), refusals and questions whether a client can be called a second, of one
// caller and of many. The single process reads refusals and availability off what actors
// show; a node of a cluster asks them.
func BenchmarkClusterOfOne(b *testing.B) {
	one := newNodes(b, "all")
	single := onPostgres(b)
	single.MustRun(b, "migrate", "up")
	importPeople(b, single, agents(clusterUsers)...)
	importClients(b, single, clusterClients)
	key := serviceKey(b, single)
	alone := single.Serve(b)
	alone.WaitReady(readyLimit)
	both := [2]*dialers{newDialers(b, alone.URL, key), newDialers(b, one.all[0].URL, one.key)}
	for _, callers := range []int{1, clusterUsers} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			for b.Loop() {
				compare(b, both, callers, "calls", "start", (*dialers).calls)
				for _, d := range both {
					d.start(d.users[0], d.clients[0])
				}
				compare(b, both, callers, "refusals", "refusal", (*dialers).refused)
				compare(b, both, callers, "questions", "question", (*dialers).asked)
				for _, d := range both {
					d.put(harness.Change{Action: "end_call", UserID: d.users[0]})
				}
			}
		})
	}
}

// compare has both do something by turns, and reports the second in proportion to the first.
func compare(b *testing.B, both [2]*dialers, callers int, many, one string, do func(*dialers, int, int) time.Duration) {
	b.Helper()
	var ratios, p50s []float64
	for range benchRounds {
		var rate [2]float64
		var p50 [2]time.Duration
		for i, d := range both {
			rate[i], p50[i] = d.round(callers, do)
		}
		ratios, p50s = append(ratios, rate[1]/rate[0]), append(p50s, float64(p50[1])/float64(p50[0]))
	}
	b.ReportMetric(median(ratios), "×"+many+"/s")
	b.ReportMetric(median(p50s), "×p50-"+one)
}

// BenchmarkAcrossNodes says what it adds that the actors of a request's user and client
// live at another node than the one that is asked, or on two.
func BenchmarkAcrossNodes(b *testing.B) {
	nats := ownNATS(b)
	n := newNodesAt(b, nats.URL(), "all", "all")
	d := newDialers(b, n.all[0].URL, n.key)
	var ids []string
	here := ""
	for _, s := range n.status().Nodes {
		ids = append(ids, s.Incarnation)
		if s.Name == nodeName(0) {
			here = s.Incarnation
		}
	}
	owners := placement.NewOwners(ids)
	user := func(far bool) string {
		return d.users[slices.IndexFunc(d.users, func(u string) bool {
			id, err := messages.ParseID(u)
			return err == nil && (owners.Home(id) != here) == far
		})]
	}
	client := func(far bool) messages.ClientID {
		return d.clients[slices.IndexFunc(d.clients, func(c messages.ClientID) bool { return (owners.Home(c.UUID) != here) == far })]
	}
	cases := []struct {
		name   string
		user   string
		client messages.ClientID
	}{
		{"here", user(false), client(false)},
		{"user-there", user(true), client(false)},
		{"client-there", user(false), client(true)},
		{"both-there", user(true), client(true)},
	}
	for b.Loop() {
		took := make([][3][]float64, len(cases))
		for range 400 {
			for i, c := range cases {
				for j, t := range d.call(c.user, c.client) {
					took[i][j] = append(took[i][j], float64(t))
				}
			}
		}
		for i, c := range cases {
			for j, what := range []string{"start", "end", "end-unnamed"} {
				m := median(took[i][j])
				if i == 0 {
					b.ReportMetric(m/1e6, "ms-"+what+"-here")
					continue
				}
				b.ReportMetric((m-median(took[0][j]))/1e6, "ms-added-"+what+"-"+c.name)
			}
		}
	}
}

// dialers are users who call clients of their own through one node.
type dialers struct {
	b       *testing.B
	c       *harness.Client
	users   []string
	clients []messages.ClientID
}

func newDialers(b *testing.B, url, key string) *dialers {
	b.Helper()
	d := &dialers{b: b, c: harness.NewClient(b, url, key)}
	for _, c := range d.c.AllClients(b) {
		d.clients = append(d.clients, c.ID)
	}
	for _, s := range d.c.Statuses(b, false) {
		if s.Role == messages.RoleUser {
			d.users = append(d.users, s.ID.String())
		}
	}
	return d
}

// calls makes a call, and says how long its start took.
func (d *dialers) calls(i, k int) time.Duration {
	t := time.Now()
	d.start(d.users[i], d.clients[2*i+k%2])
	took := time.Since(t)
	d.put(harness.Change{Action: "end_call", UserID: d.users[i]})
	return took
}

// refused starts a call with the client whom the first user calls, as somebody else.
func (d *dialers) refused(i, _ int) time.Duration {
	t := time.Now()
	change := harness.Change{Action: "start_call", UserID: d.users[1+i%(len(d.users)-1)], ClientID: d.clients[0].String()}
	r, err := d.c.Put(d.b.Context(), change)
	if err != nil || r.Code != messages.CodeClientBeingCalled {
		d.b.Errorf("a start that is to be refused: %v %s", err, r.Raw)
	}
	return time.Since(t)
}

// asked asks by turns for that client and for one whom nobody calls.
func (d *dialers) asked(i, k int) time.Duration {
	client := d.clients[0]
	if k%2 == 1 {
		client = d.clients[1+i]
	}
	t := time.Now()
	r, err := d.c.Do(d.b.Context(), http.MethodGet, "/api/clients/"+client.String()+"/availability", nil)
	if err != nil || r.Status != http.StatusOK {
		d.b.Errorf("a question whether a client can be called: %v %s", err, r.Raw)
	}
	return time.Since(t)
}

// round has callers do something for a while.
func (d *dialers) round(callers int, do func(d *dialers, i, k int) time.Duration) (perSecond float64, p50 time.Duration) {
	var mu sync.Mutex
	var all []time.Duration
	var work sync.WaitGroup
	began := time.Now()
	for i := range callers {
		work.Go(func() {
			var mine []time.Duration
			for k := 0; time.Since(began) < benchFor; k++ {
				mine = append(mine, do(d, i, k))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	work.Wait()
	slices.Sort(all)
	return float64(len(all)) / time.Since(began).Seconds(), all[len(all)/2]
}

// call makes two calls, ends the first by its id and the second without, and says how long
// the start and both ends took.
func (d *dialers) call(user string, client messages.ClientID) (took [3]time.Duration) {
	at := time.Now()
	lap := func(i int) { took[i] = time.Since(at); at = time.Now() }
	id := d.start(user, client)
	lap(0)
	d.put(harness.Change{Action: "end_call", UserID: user, CallID: id.String()})
	lap(1)
	d.start(user, client)
	at = time.Now()
	d.put(harness.Change{Action: "end_call", UserID: user})
	lap(2)
	return took
}

func (d *dialers) start(user string, client messages.ClientID) messages.CallID {
	r := d.put(harness.Change{Action: "start_call", UserID: user, ClientID: client.String()})
	if r.Call == nil {
		return messages.CallID{}
	}
	return r.Call.ID
}

func (d *dialers) put(c harness.Change) harness.Reply {
	r, err := d.c.Put(d.b.Context(), c)
	if err != nil || r.Status != http.StatusOK {
		d.b.Errorf("%s: %v %s", c.Action, err, r.Raw)
	}
	return r
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
