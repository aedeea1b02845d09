package integration

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// TestKilledUnderLoad kills the server with SIGKILL again and again while many
// agents start and end calls. After each restart every acknowledged start is
// in progress and every acknowledged end is over (I3), I1, I2 and I6 hold, and
// the server says what the store has. A request that was not answered may have
// happened or not.
func TestKilledUnderLoad(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 2
	}
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		connect := newDialer(t, d, 48, 64)
		s := d.Serve(t)
		s.WaitReady(readyLimit)
		team := connect(s)
		book := newLedger()
		var all []*agent
		for _, u := range team.users {
			all = append(all, &agent{user: u})
		}
		db := openStore(t, d.Store)
		for round := 1; round <= rounds && !t.Failed(); round++ {
			killUnderLoad(t, s, load{ledger: book, clients: team.clients, api: team.Client}, all)
			s = d.ServeAt(t, s.Addr)
			took := s.WaitReady(readyLimit)
			waitForOldTransactions(t, d.Store, db)
			checkAfterRestart(t, db, team, book, all)
			t.Logf("round %d: %d acknowledged in all, ready after %v", round, book.acknowledged.Load(), took.Round(time.Millisecond))
		}
	})
}

// killUnderLoad runs the load until a random number of requests has been
// acknowledged, and kills the server then.
func killUnderLoad(t *testing.T, s *harness.Server, l load, all []*agent) {
	t.Helper()
	l.dying = &atomic.Bool{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	until := l.acknowledged.Load() + 100 + rand.Int64N(900)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(ctx, t, all)
	}()
	waitFor(t, time.Minute, "enough load", func() bool { return l.acknowledged.Load() >= until })
	l.dying.Store(true)
	s.Kill()
	<-done
}

// waitForOldTransactions waits until Postgres has finished what a killed server
// had sent it: a commit on its way when the server died may still take effect,
// and until then nobody can say what is stored.
func waitForOldTransactions(t *testing.T, s harness.Store, db *sql.DB) {
	t.Helper()
	if s.DatabaseURL == "" {
		return // SQLite's transactions died with the server
	}
	const open = `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' AND query ILIKE '%claims%'`
	waitFor(t, readyLimit, "the killed server's transactions", func() bool {
		var n int
		if err := db.QueryRowContext(t.Context(), open).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
}

func checkAfterRestart(t *testing.T, db *sql.DB, team *dialer, book *ledger, all []*agent) {
	t.Helper()
	stored := claimsIn(t, db)
	for _, a := range all {
		a.settle(t, book, stored)
	}
	history := finishedIn(t, db)
	for call := range book.ended {
		if history[call] != 1 {
			t.Errorf("I5 is broken: call %s, whose end was acknowledged, stands %d times in the history", call, history[call])
		}
	}
	for _, c := range stored {
		if history[c.call] != 0 {
			t.Errorf("I5 is broken: call %s is in progress and in the history", c.call)
		}
	}
	checkOverHTTP(t, team, stored)
}

// checkOverHTTP holds what the server says to what the store has.
func checkOverHTTP(t *testing.T, team *dialer, stored map[messages.UserID]claim) {
	t.Helper()
	said := team.Statuses(t, true)
	if len(said) != len(stored) {
		t.Errorf("the server says that %d users are on a call, the store %d", len(said), len(stored))
	}
	callers := map[messages.ClientID]messages.UserID{}
	for _, u := range said {
		c := stored[u.ID]
		if u.CurrentCallClientID == nil || *u.CurrentCallClientID != c.client {
			t.Errorf("the server says that %s calls %v, the store %v", u.ID, u.CurrentCallClientID, c.client)
		}
		callers[c.client] = u.ID
	}
	for _, id := range team.clients {
		caller, held := callers[id]
		a := team.Availability(t, id)
		if a.Available == nil || *a.Available == held {
			t.Errorf("client %s, held %v: %s", id, held, a.Raw)
		} else if held && (a.Caller == nil || a.Caller.ID != caller) {
			t.Errorf("client %s is called by %s, and the server says %s", id, caller, a.Raw)
		}
	}
}

// TestRetriesAfterACrash has a user whose server crashed do what such users do:
// start again, renew, end, and end again. Nothing of it does harm.
func TestRetriesAfterACrash(t *testing.T) {
	onEachStore(t, func(t *testing.T, d harness.Dibs) {
		connect := newDialer(t, d, 2, 1)
		s := d.Serve(t)
		s.WaitReady(readyLimit)
		team := connect(s)
		started := harness.Must(t, http.StatusOK)(team.start(t, 0, 0), nil)
		s.Kill()
		s = d.ServeAt(t, s.Addr)
		s.WaitReady(readyLimit)

		again := harness.Must(t, http.StatusConflict)(team.start(t, 0, 0), nil)
		if again.Call == nil || again.Call.ID != started.Call.ID || again.Call.Token != started.Call.Token {
			t.Errorf("after the restart the user is told %s, want the call %s", again.Raw, started.Call.ID)
		}
		harness.Must(t, http.StatusConflict)(team.start(t, 1, 0), nil)
		renew := harness.Change{
			Action: "renew_call", UserID: team.users[0].String(), CallID: started.Call.ID.String(), Token: started.Call.Token,
		}
		harness.Must(t, http.StatusOK)(team.Put(t.Context(), renew))
		harness.Must(t, http.StatusOK)(team.end(t, 0), nil)
		harness.Must(t, http.StatusOK)(team.end(t, 0), nil)
		r := harness.Must(t, http.StatusConflict)(team.Put(t.Context(), renew))
		if r.Code != messages.CodeCallOver {
			t.Errorf("renewing a call that is over: %s", r.Raw)
		}
	})
}
