package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// Two servers on one Postgres and one NATS: what one acknowledged, the other
// knows when it is asked next, and no refusal is older than its request (I4).
func TestTwoServersShareADatabase(t *testing.T) {
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

	d := onPostgres(t)
	d.MustRun(t, "migrate", "up")
	importPeople(t, d,
		person{"ana@example.org", "Ana", "Alvarez", "user", password},
		person{"ben@example.org", "Ben", "Baker", "user", password})
	importClients(t, d, 2)
	one, two := d.Serve(t, "--nats-url", nats.URL()), d.Serve(t, "--nats-url", nats.URL())
	one.WaitReady(readyLimit)
	two.WaitReady(readyLimit)
	ana1 := harness.NewClient(t, one.URL, "").Login(t, "ana@example.org", password)
	ben1 := harness.NewClient(t, one.URL, "").Login(t, "ben@example.org", password)
	ana2 := harness.NewClient(t, two.URL, "").Login(t, "ana@example.org", password)
	ben2 := harness.NewClient(t, two.URL, "").Login(t, "ben@example.org", password)
	clients := ana1.AllClients(t)
	x, y := clients[0].ID, clients[1].ID
	start := func(c *harness.Client, id messages.ClientID, status int) harness.Reply {
		t.Helper()
		return harness.Must(t, status)(c.Put(t.Context(), harness.Change{Action: "start_call", ClientID: id.String()}))
	}
	end := func(c *harness.Client) {
		t.Helper()
		harness.Must(t, http.StatusOK)(c.Put(t.Context(), harness.Change{Action: "end_call"}))
	}

	for range 20 {
		if a := ben2.Availability(t, x); a.Available == nil || !*a.Available {
			t.Fatalf("before the start: %s", a.Raw)
		}
		start(ana1, x, http.StatusOK)
		if a := ben2.Availability(t, x); a.Available == nil || *a.Available {
			t.Fatalf("after the start was acknowledged: %s", a.Raw)
		}
		if r := start(ben2, x, http.StatusConflict); r.Caller == nil || r.Caller.Name != "Ana Alvarez" {
			t.Fatalf("Ben was told %s", r.Raw)
		}
		start(ben1, x, http.StatusConflict)
		start(ana2, y, http.StatusConflict)

		end(ana2) // at the other server
		start(ben1, x, http.StatusOK)
		end(ben2)
		start(ana1, y, http.StatusOK)
		end(ana1)
	}
}

// A server that would not hear of the others is kept out.
func TestASecondServerThatDoesNotShareIsRefused(t *testing.T) {
	d := onPostgres(t)
	first := d.Serve(t)
	first.WaitReady(readyLimit)
	second := d
	second.Store.DataDir = t.TempDir()
	p, code := second.Run(t, "serve", "--listen", harness.FreeAddr(t))
	if code != 4 || !strings.Contains(p.Stderr(), "another server uses this database") {
		t.Fatalf("the second server ended with %d: %s", code, p.Stderr())
	}
	// When the first is gone, however it went, another may start.
	first.Kill()
	third := d.Serve(t)
	third.WaitReady(readyLimit + 5*time.Second)
}
