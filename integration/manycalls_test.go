package integration

import (
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// TestReadyWithManyCalls: after a crash with 100,000 calls in progress the
// server becomes ready, and knows each of them. How long it takes is measured
// by BenchmarkReadyWithManyCalls.
func TestReadyWithManyCalls(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 2_000
	}
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		connect := newDialer(t, d, 2, 2)
		s := d.Serve(t)
		s.WaitReady(readyLimit)
		team := connect(s)
		harness.Must(t, http.StatusOK)(team.start(t, 0, 0), nil)
		seedCalls(t, d, n)
		s.Kill()

		s = d.ServeAt(t, s.Addr)
		took := s.WaitReady(readyLimit)
		t.Logf("ready after %v with %d calls in progress", took.Round(time.Millisecond), n+1)
		harness.Must(t, http.StatusConflict)(team.start(t, 1, 0), nil)
		harness.Must(t, http.StatusConflict)(team.start(t, 0, 1), nil)
		sample := 0
		for _, c := range claimsIn(t, openStore(t, d.Store)) {
			if c.user != team.users[0] && sample < 20 {
				team.checkHeld(t, c)
				sample++
			}
		}
		if sample != 20 {
			t.Errorf("only %d of the seeded calls are there", sample)
		}
	})
}

// seedCalls makes n people, n clients, and a call of each pair. The calls are
// written into the store beside the server: what a restart meets is that table,
// however it was filled.
func seedCalls(t testing.TB, d harness.Dibs, n int) {
	t.Helper()
	people := [][]string{{"email", "first_name", "last_name"}}
	clients := [][]string{{"name", "phone"}}
	for i := range n {
		people = append(people, []string{fmt.Sprintf("seed%06d@example.net", i), "Seed", strconv.Itoa(i)})
		clients = append(clients, []string{fmt.Sprintf("Seed %06d", i), fmt.Sprintf("+4930%08d", 10_000_000+i)})
	}
	d.MustRun(t, "users", "import", csvFile(t, people))
	d.MustRun(t, "clients", "import", csvFile(t, clients))
	driver, address := storeAddress(t, d.Store)
	out, err := exec.CommandContext(t.Context(), tools.seedcalls, driver, address).CombinedOutput()
	if made := strings.TrimSpace(string(out)); err != nil || made != strconv.Itoa(n) {
		t.Fatalf("made %s calls, want %d: %v", made, n, err)
	}
}

// checkHeld asks about a call in progress, and tries to break it.
func (d *dialer) checkHeld(t *testing.T, c claim) {
	t.Helper()
	if a := d.Availability(t, c.client); a.Available == nil || *a.Available || a.Caller == nil || a.Caller.ID != c.user {
		t.Errorf("call %s: availability %s", c.call, a.Raw)
	}
	r := harness.Must(t, http.StatusConflict)(d.Put(t.Context(), harness.Change{
		Action: "start_call", UserID: c.user.String(), ClientID: d.clients[1].String(),
	}))
	if r.Code != messages.CodeUserOnCall || r.Call == nil || r.Call.ID != c.call {
		t.Errorf("call %s: its user starting another: %s", c.call, r.Raw)
	}
	r = harness.Must(t, http.StatusConflict)(d.Put(t.Context(), harness.Change{
		Action: "start_call", UserID: d.users[1].String(), ClientID: c.client.String(),
	}))
	if r.Code != messages.CodeClientBeingCalled || r.Caller == nil || r.Caller.ID != c.user {
		t.Errorf("call %s: somebody else calling its client: %s", c.call, r.Raw)
	}
}

// BenchmarkReadyWithManyCalls is how long a server takes from its start to its
// first ready answer, with 100,000 calls in progress.
func BenchmarkReadyWithManyCalls(b *testing.B) {
	for name, d := range map[string]func(testing.TB) harness.Dibs{"sqlite": onSQLite, "postgres": onPostgres} {
		b.Run(name, func(b *testing.B) {
			d := d(b)
			d.MustRun(b, "migrate", "up")
			seedCalls(b, d, 100_000)
			var took time.Duration
			for b.Loop() {
				s := d.Serve(b)
				took += s.WaitReady(readyLimit)
				s.Kill()
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took.Seconds()/float64(b.N), "s/ready")
		})
	}
}
