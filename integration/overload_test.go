package integration

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	sim "github.com/dibs-calls/dibs/fleet"
	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// TestOverloadOfTheStore: Postgres is far away all of a sudden, and more starts come
// than there are places. They are refused at once, with a time to come again; ends go
// through, /readyz tells the truth, memory stays where it was, and when Postgres is
// near again whoever comes is admitted.
func TestOverloadOfTheStore(t *testing.T) {
	const limit, atOnceStarts = 20, 300
	d, link := onSlowPostgres(t)
	connect := newDialer(t, d, atOnceStarts+2*limit, atOnceStarts+2*limit)
	s := d.Serve(t, "--admission-limit", strconv.Itoa(limit))
	s.WaitReady(readyLimit)
	team := connect(s)
	onCall := 2 * limit // these end their calls meanwhile
	for u := range onCall {
		harness.Must(t, http.StatusOK)(team.start(t, u, u), nil)
	}
	memory := s.ResidentMemory()
	must(t, slow(link, 60*time.Millisecond))

	var admitted, refusals, ended atomic.Int64
	var starts sync.WaitGroup
	for u := onCall; u < onCall+atOnceStarts; u++ {
		starts.Go(func() {
			r, err := team.Put(t.Context(), team.startOf(u, u))
			switch {
			case err != nil:
				t.Error(err)
			case r.Status == http.StatusOK:
				admitted.Add(1)
			case r.Code == messages.CodeOverloaded:
				refusals.Add(1)
				checkRefusal(t, r)
			default:
				t.Errorf("status %d: %s", r.Status, r.Raw)
			}
		})
	}
	waitFor(t, readyLimit, "starts to be refused", func() bool { return refusals.Load() > 0 })
	var ends sync.WaitGroup
	for u := range onCall {
		ends.Go(func() {
			if r, err := team.Put(t.Context(), harness.Change{Action: "end_call", UserID: team.users[u].String()}); err == nil && r.Status == http.StatusOK {
				ended.Add(1)
			} else {
				t.Errorf("an end: %v, status %d: %s", err, r.Status, r.Raw)
			}
		})
	}
	harness.Must(t, http.StatusOK)(team.Do(t.Context(), http.MethodGet, "/readyz", nil))
	starts.Wait()
	ends.Wait()
	if n := admitted.Load(); n < limit {
		t.Errorf("%d starts were admitted, there are %d places", n, limit)
	}
	if grown := s.ResidentMemory() - memory; grown > flat {
		t.Errorf("it took %d MiB more", grown>>20)
	}
	if counted := metric(t, s, `dibs_admission_requests_total{class="start",result="late"}`); counted != float64(refusals.Load()) {
		t.Errorf("%v refusals were counted, there were %d", counted, refusals.Load())
	}

	near(link)
	for u := range onCall { // the very next
		harness.Must(t, http.StatusOK)(team.start(t, u, u), nil)
	}
}

// checkRefusal looks at what a caller is told who was refused.
func checkRefusal(t *testing.T, r harness.Reply) {
	t.Helper()
	after, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if r.Status != http.StatusServiceUnavailable || err != nil || after < 1 || after > 3 {
		t.Errorf("status %d, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
	}
}

// TestLimitFollowsLoad: a thousand agents who do not pause are more than a process
// answers in good time, so it admits fewer at a time, by itself. No end is refused,
// and when the agents are gone nobody is.
func TestLimitFollowsLoad(t *testing.T) {
	const agents = 1000
	harness.AllowFiles(t, 3*agents)
	d := onSQLite(t)
	connect := newDialer(t, d, agents, 2*agents)
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	team := connect(s)
	network, err := sim.NewHTTP(s.URL, serviceKey(t, d), time.Minute)
	must(t, err)
	before := metric(t, s, "dibs_admission_limit")
	ctx, enough := context.WithCancel(t.Context())
	var crowd sync.WaitGroup
	for n := range agents {
		crowd.Go(func() {
			link := network.Link()
			defer link.Close()
			for ctx.Err() == nil {
				user := team.users[n].String()
				if a := link.Start(user, team.clients[n].String(), 0); a.Outcome != sim.Done {
					pause(ctx, 20*time.Millisecond) // not nearly as long as it was asked to
					continue
				}
				a := link.End(user, "")
				for limit := time.Now().Add(storeAway); stoodStill(a) && time.Now().Before(limit); a = link.End(user, "") {
					<-time.After(50 * time.Millisecond)
				}
				if a.Outcome != sim.Done {
					t.Errorf("an end: %s", a.Detail)
					return
				}
			}
		})
	}
	defer crowd.Wait()
	defer enough()
	waitFor(t, time.Minute, "the limit to follow", func() bool { return metric(t, s, "dibs_admission_limit") < before/2 })
	harness.Must(t, http.StatusOK)(team.Do(t.Context(), http.MethodGet, "/readyz", nil))
	enough()
	crowd.Wait()
	for n := range 100 {
		harness.Must(t, http.StatusOK)(team.end(t, n), nil) // what an answer that came too late has begun
		harness.Must(t, http.StatusOK)(team.start(t, n, n), nil)
	}
}

// stoodStill reports whether a request was not carried out, or it is not known, because
// the disk under the store stood still; that has nothing to do with the load.
func stoodStill(a sim.Answer) bool {
	return strings.Contains(a.Detail, string(messages.CodeUnavailable)) || strings.Contains(a.Detail, string(messages.CodeOutcomeUnknown))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// onSlowPostgres is a store behind a proxy that can be slow.
func onSlowPostgres(t *testing.T) (harness.Dibs, *toxiproxy.Proxy) {
	t.Helper()
	u, err := url.Parse(pgtest.EmptyURL(t))
	must(t, err)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	link := toxiproxy.NewProxy(server, "postgres", "127.0.0.1:0", u.Host)
	must(t, link.Start())
	t.Cleanup(link.Stop)
	u.Host = link.Listen
	return harness.Dibs{Binary: tools.dibs, Store: harness.Store{DataDir: t.TempDir(), DatabaseURL: u.String()}}, link
}

// slow makes everything that the store says late.
func slow(link *toxiproxy.Proxy, by time.Duration) error {
	_, err := link.Toxics.AddToxicJson(strings.NewReader(
		`{"type": "latency", "stream": "downstream", "attributes": {"latency": ` + strconv.FormatInt(by.Milliseconds(), 10) + `}}`))
	return err
}

// near ends what slow began.
func near(link *toxiproxy.Proxy) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	link.Toxics.ResetToxics(ctx)
}
