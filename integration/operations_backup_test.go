package integration

import (
	"maps"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// backedUp is what had been acknowledged when a backup began.
type backedUp struct {
	begun map[messages.CallID]claim
	ended map[messages.CallID]bool
}

// TestBackupUnderLoad does what docs/operations.md says about backups, on both
// stores and both ways of Postgres: it makes one while agents start and end calls,
// lets them go on, has the server and its store die, and puts the backup back in
// another place. What was acknowledged before the backup is there; I1, I2 and I6
// hold; and no client gets a token that was given out before, not even in the
// time that is lost.
func TestBackupUnderLoad(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		backUpUnderLoad(t, onSQLite(t), func(d harness.Dibs, dir string) {
			runOperation(t, "sqlite-backup", dir, "DIBS_DATA="+d.Store.DataDir)
		}, func(_ harness.Dibs, dir string) harness.Store {
			runOperation(t, "sqlite-restore", dir)
			return harness.Store{DataDir: filepath.Join(dir, "restored")}
		})
	})
	// The folder of the event stream stays, as it does when the database alone
	// was lost: it has news of calls that the restored one does not know.
	t.Run("pg_dump", func(t *testing.T) {
		backUpUnderLoad(t, onPostgres(t), func(d harness.Dibs, dir string) {
			runOperation(t, "postgres-backup", dir, "DIBS_DATABASE_URL="+d.Store.DatabaseURL)
		}, func(d harness.Dibs, dir string) harness.Store {
			at := pgtest.EmptyURL(t)
			runOperation(t, "postgres-restore", dir, "DIBS_DATABASE_URL="+at)
			return harness.Store{DataDir: d.Store.DataDir, DatabaseURL: at}
		})
	})
	t.Run("pg_basebackup", func(t *testing.T) {
		server := pgtest.StartServer(t, pgtest.Options{})
		d := onSQLite(t)
		var err error
		if d.Store.DatabaseURL, err = server.CreateDatabase("dibs"); err != nil {
			t.Fatal(err)
		}
		backUpUnderLoad(t, d, func(_ harness.Dibs, dir string) {
			runOperation(t, "postgres-basebackup", dir, "REPLICATION_URL="+server.AdminURL("postgres"))
		}, func(d harness.Dibs, dir string) harness.Store {
			restored := server.StartFrom(t, filepath.Join(dir, "base"))
			at := restored.URL("dibs")
			runOperation(t, "postgres-basebackup-restored", dir, "DIBS_DATABASE_URL="+at)
			return harness.Store{DataDir: d.Store.DataDir, DatabaseURL: at}
		})
	})
}

func backUpUnderLoad(t *testing.T, d harness.Dibs, backUp func(harness.Dibs, string), restore func(harness.Dibs, string) harness.Store) {
	connect := newDialer(t, d, 24, 32)
	importPeople(t, d, person{"ana@example.org", "Ana", "Alvarez", "user", password})
	s := d.Serve(t)
	s.WaitReady(readyLimit)
	team := connect(s)
	ana := harness.NewClient(t, s.URL, "").Login(t, "ana@example.org", password)
	dir := t.TempDir()

	book := newLedger()
	l := load{ledger: book, clients: team.clients, api: team.Client, dying: &atomic.Bool{}}
	var all []*agent
	for _, u := range team.users {
		all = append(all, &agent{user: u})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(t.Context(), t, all)
	}()
	more := func(n int64) {
		t.Helper()
		n += l.acknowledged.Load()
		waitFor(t, time.Minute, "more load", func() bool { return l.acknowledged.Load() >= n })
	}
	more(200)
	before := book.now()
	backUp(d, dir)
	more(200) // these are lost
	l.dying.Store(true)
	s.Kill()
	<-done

	d.Store = restore(d, dir)
	checkRestored(t, d, before)
	s = d.ServeAt(t, s.Addr)
	s.WaitReady(readyLimit)
	stored := claimsIn(t, openStore(t, d.Store))
	waitFor(t, readyLimit, "the read model", func() bool { return sameCalls(team.Statuses(t, true), stored) })
	checkOverHTTP(t, team, stored)
	if r, err := ana.Do(t.Context(), http.MethodGet, "/api/auth/verify", nil); err != nil || r.Status != http.StatusUnauthorized {
		t.Errorf("a session from before: %v, %s", err, r.Raw)
	}
	checkTokensGoOn(t, team, book, stored)
}

// now is what is acknowledged by now.
func (l *ledger) now() backedUp {
	l.mu.Lock()
	defer l.mu.Unlock()
	return backedUp{begun: maps.Clone(l.begun), ended: maps.Clone(l.ended)}
}

// checkRestored holds a restored store to what had been acknowledged when its
// backup began. claimsIn holds it to I1 and I2, the store's index to I6.
func checkRestored(t *testing.T, d harness.Dibs, before backedUp) {
	t.Helper()
	db := openStore(t, d.Store)
	inProgress := map[messages.CallID]claim{}
	for _, c := range claimsIn(t, db) {
		inProgress[c.call] = c
	}
	history := finishedIn(t, db)
	for call, c := range before.begun {
		stored, going := inProgress[call]
		switch {
		case going && stored != c:
			t.Errorf("the call %+v came back as %+v", c, stored)
		case going && before.ended[call]:
			t.Errorf("the end of call %s was acknowledged before the backup, and it is in progress", call)
		case !going && history[call] != 1:
			t.Errorf("the start of call %s was acknowledged before the backup, and it stands %d times in the history", call, history[call])
		}
	}
	for call := range inProgress {
		if history[call] != 0 {
			t.Errorf("call %s is in progress and in the history", call)
		}
	}
}

// checkTokensGoOn: whatever was told to anybody, each client's next token is
// higher, and an old one changes nothing (I6).
func checkTokensGoOn(t *testing.T, team *dialer, book *ledger, stored map[messages.UserID]claim) {
	t.Helper()
	old := newLedger()
	maps.Copy(old.tokens, book.tokens)
	for _, c := range stored {
		harness.Must(t, http.StatusOK)(team.Put(t.Context(), harness.Change{Action: "end_call", UserID: c.user.String()}))
	}
	for i := range team.clients {
		r := harness.Must(t, http.StatusOK)(team.start(t, i%len(team.users), i), nil)
		old.started(t, claim{team.users[i%len(team.users)], r.Call.ClientID, r.Call.ID, r.Call.Token})
		renew := harness.Change{Action: "renew_call", UserID: r.Call.UserID.String(), CallID: r.Call.ID.String(), Token: book.tokens[r.Call.ClientID]}
		if again := harness.Must(t, http.StatusConflict)(team.Put(t.Context(), renew)); again.Code != messages.CodeCallOver {
			t.Errorf("renewing with an old token: %s", again.Raw)
		}
		harness.Must(t, http.StatusOK)(team.end(t, i%len(team.users)), nil)
	}
}
