package integration

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// TestBacklogOfALongOutage: NATS is away while many calls begin and end. The
// backlog can be seen in /metrics. When NATS is back, both servers agree at once
// on who calls whom, whatever the backlog; it drains by itself, complete and in
// order for each client (I7).
func TestBacklogOfALongOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: the backlog is counted every few seconds only")
	}
	const events = 20_000
	bin, err := natstest.Build(t.Context(), t.TempDir())
	must(t, err)
	nats := startNATS(t, bin)
	d := onPostgres(t)
	k := newKiller(t, d, "--nats-url", nats.URL())
	other := d.Serve(t, "--nats-url", nats.URL())
	other.WaitReady(readyLimit)
	key := serviceKey(t, d)

	must(t, nats.Kill())
	k.work(events)
	waiting := k.waiting()
	if waiting < events {
		t.Fatalf("%d events wait, want %d", waiting, events)
	}
	for _, s := range []*harness.Server{k.server, other} {
		waitFor(t, time.Minute, "the backlog in /metrics", func() bool {
			return metric(t, s, "dibs_outbox_rows") > 0 && metric(t, s, "dibs_outbox_oldest_seconds") > 0 && metric(t, s, "dibs_live_stale") == 1
		})
	}

	must(t, nats.Start(t.Context()))
	back := time.Now()
	want := claimsIn(t, k.db)
	for _, s := range []*harness.Server{k.server, other} {
		api := harness.NewClient(t, s.URL, key)
		waitFor(t, time.Minute, "the servers to agree", func() bool {
			return metric(t, s, "dibs_live_stale") == 0 && sameCalls(api.Statuses(t, true), want)
		})
	}
	agreed, left := time.Since(back), k.waiting()
	waitFor(t, drainLimit, "the outbox to be empty", func() bool { return k.waiting() == 0 })
	t.Logf("%d events: the servers agree %v after the return of NATS, with %d events still waiting; all are published after %v",
		waiting, agreed.Round(time.Millisecond), left, time.Since(back).Round(time.Millisecond))
	k.checkStream(nats.URL())
	for _, s := range []*harness.Server{k.server, other} {
		waitFor(t, time.Minute, "an empty outbox in /metrics", func() bool {
			return metric(t, s, "dibs_outbox_rows") == 0 && metric(t, s, "dibs_outbox_oldest_seconds") == 0
		})
		if !sameCalls(harness.NewClient(t, s.URL, key).Statuses(t, true), want) {
			t.Error("old news changed what a server shows")
		}
	}
}

// work lets everybody start and end calls until so many were acknowledged.
func (k *killer) work(acknowledged int64) {
	k.t.Helper()
	ctx, cancel := context.WithCancel(k.t.Context())
	defer cancel()
	k.load.dying = &atomic.Bool{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.load.run(ctx, k.t, k.agents)
	}()
	waitFor(k.t, 5*time.Minute, "enough calls", func() bool { return k.book.acknowledged.Load() >= acknowledged || k.t.Failed() })
	cancel()
	<-done
}

// sameCalls reports whether those who are shown as on a call are those who are.
func sameCalls(shown []messages.UserStatus, want map[messages.UserID]claim) bool {
	if len(shown) != len(want) {
		return false
	}
	for _, u := range shown {
		if u.CurrentCallClientID == nil || *u.CurrentCallClientID != want[u.ID].client {
			return false
		}
	}
	return true
}

// metric reads a value from /metrics: the sum over its labels.
func metric(t testing.TB, s *harness.Server, name string) (sum float64) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/metrics", http.NoBody)
	must(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	must(t, err)
	defer resp.Body.Close()
	found := false
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		must(t, err)
		sum, found = sum+value, true
	}
	if !found {
		t.Fatalf("/metrics has no %s", name)
	}
	return sum
}
