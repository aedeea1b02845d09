package postgres_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/dibs-calls/dibs/persistence/storetest"
	"github.com/jackc/pgx/v5"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) persistence.Store { return open(t, pgtest.URL(t)) })
}

func TestReopen(t *testing.T) {
	storetest.RunReopen(t, func(t *testing.T) (persistence.Store, func() persistence.Store) {
		url := pgtest.URL(t)
		first := open(t, url)
		return first, func() persistence.Store {
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, url)
		}
	})
}

// open opens a store that is closed when the test ends.
func open(t *testing.T, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestOpenRefusesPendingMigrations(t *testing.T) {
	_, err := postgres.Open(t.Context(), postgres.Config{URL: pgtest.EmptyURL(t)})
	if err == nil || !strings.Contains(err.Error(), "dibs migrate up") {
		t.Fatalf("error %v does not say what to do", err)
	}
}

func TestOpenWithoutServer(t *testing.T) {
	for name, url := range map[string]string{
		"nobody listens": "postgres://dibs:secret@127.0.0.1:1/dibs",
		"no address":     "postgres://dibs:secret@127.0.0.1:port/dibs",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := postgres.Open(t.Context(), postgres.Config{URL: url})
			if err == nil {
				t.Fatal("opened")
			}
			if strings.Contains(err.Error(), "secret") {
				t.Fatalf("the error gives the password away: %v", err)
			}
		})
	}
}

func TestOpenWarnsOfForgetfulServer(t *testing.T) {
	server := pgtest.StartServer(t, pgtest.Options{Settings: map[string]string{"synchronous_commit": "off"}})
	var log bytes.Buffer
	s, err := postgres.Open(t.Context(), postgres.Config{
		URL: server.MigratedURL(t, "dibs"), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if !strings.Contains(log.String(), "level=WARN") {
		t.Fatalf("no warning in %q", log.String())
	}
}

func TestMigrateTogether(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: the lock is looked for once a second")
	}
	url := pgtest.EmptyURL(t)
	const processes = 4
	applied := make([][]persistence.Migration, processes)
	errs := make([]error, processes)
	var wg sync.WaitGroup
	for i := range processes {
		wg.Go(func() { applied[i], errs[i] = postgres.Migrate(t.Context(), url) })
	}
	wg.Wait()
	once := map[int64]int{}
	for i, err := range errs {
		if err != nil {
			t.Errorf("process %d: %v", i, err)
		}
		for _, m := range applied[i] {
			once[m.Version]++
		}
	}
	status, err := postgres.MigrationStatus(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range status {
		if m.AppliedAt == nil || once[m.Version] != 1 || m.Name == "" {
			t.Errorf("%+v was applied %d times", m, once[m.Version])
		}
	}
	again, err := postgres.Migrate(t.Context(), url)
	if err != nil || len(again) != 0 {
		t.Errorf("migrating again applied %v: %v", again, err)
	}
}

// The users of the spec, read and updated by its own SQL.
func TestUsersView(t *testing.T) {
	url := pgtest.URL(t)
	b := newBench(t, url, nil)
	u, c := b.people(t, 1)[0], b.clients(t, 1)[0]
	status := func() (onCall bool, client *[16]byte, started bool) {
		t.Helper()
		err := b.direct.QueryRow(t.Context(), `
SELECT is_on_call, current_call_client_id, call_started_at IS NOT NULL FROM users WHERE id = $1`, u.UUID).
			Scan(&onCall, &client, &started)
		if err != nil {
			t.Fatal(err)
		}
		return onCall, client, started
	}
	if on, client, started := status(); on || client != nil || started {
		t.Errorf("idle: %v, %v, %v", on, client, started)
	}
	b.claim(t, u, c)
	if on, client, started := status(); !on || client == nil || *client != c.UUID || !started {
		t.Errorf("on call: %v, %v, %v", on, client, started)
	}

	exec := func(sql string, args ...any) error {
		tag, err := b.direct.Exec(t.Context(), sql, args...)
		if err == nil && tag.RowsAffected() != 1 {
			t.Errorf("%s touched %d rows", sql, tag.RowsAffected())
		}
		return err
	}
	if err := exec(`UPDATE users SET first_name = 'Anna', last_name = 'Lopez' WHERE id = $1`, u.UUID); err != nil {
		t.Error(err)
	}
	if err := exec(`INSERT INTO users (email, first_name) VALUES ('by-sql@example.com', 'By SQL')`); err != nil {
		t.Error(err)
	}
	if err := exec(`UPDATE users SET is_on_call = false WHERE id = $1`, u.UUID); err == nil {
		t.Error("what is in progress was changed past the store")
	}
	a, err := b.store.UserByID(t.Context(), u)
	if err != nil || a.Name() != "Anna Lopez" {
		t.Errorf("%v, %+v", err, a)
	}
	if a, err = b.store.UserByEmail(t.Context(), "BY-SQL@example.com"); err != nil || a.Role != messages.RoleUser {
		t.Errorf("%v, %+v", err, a)
	}
	// The report that the spec's page is made of.
	rows, err := b.direct.Query(t.Context(), `
SELECT u.first_name FROM users u JOIN clients c ON c.id = u.current_call_client_id WHERE u.is_on_call ORDER BY u.first_name`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) != 1 || names[0] != "Anna" {
		t.Errorf("%v, %v", err, names)
	}
}

// A database whose owner may not have pg_trgm works, only slower.
func TestWithoutTrigrams(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	if _, err := b.direct.Exec(t.Context(), `DROP EXTENSION pg_trgm CASCADE`); err != nil {
		t.Fatal(err)
	}
	if err := b.store.AddClients(t.Context(), []messages.Client{{Name: "Grace Hopper", Phone: "+1 415 555 0100"}}); err != nil {
		t.Fatal(err)
	}
	for _, search := range []string{"HOPPER", "(415) 555"} {
		_, n, err := b.store.ListClients(t.Context(), messages.ClientQuery{Search: search, Page: 1, Limit: 10})
		if err != nil || n != 1 {
			t.Errorf("%q: %v, %d found", search, err, n)
		}
	}
}

// A client or an account that somebody deleted past the store does not stand in
// the way of a call's end, nor of the list of those in progress.
func TestDeletedPastTheStore(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	call := b.claim(t, b.people(t, 1)[0], b.clients(t, 1)[0])
	for table, id := range map[string][16]byte{"accounts": call.UserID.UUID, "clients": call.ClientID.UUID} {
		if _, err := b.direct.Exec(t.Context(), `DELETE FROM `+table+` WHERE id = $1`, id); err != nil {
			t.Fatal(err)
		}
	}
	who := messages.LiveCall{
		Call: call, User: messages.User{ID: call.UserID}, Client: messages.ClientSummary{ID: call.ClientID},
	}
	calls, err := b.store.CallsInProgress(t.Context())
	if err != nil || len(calls) != 1 || calls[0] != who {
		t.Errorf("%v, %+v", err, calls)
	}
	outcomes, err := b.store.Commit(t.Context(), []messages.Write{{
		Kind: messages.WriteRelease, User: call.UserID, Client: call.ClientID, Call: call.ID, Token: call.Token,
		Reason: messages.ReasonCompleted,
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantKinds(t, outcomes, messages.OutcomeDone)
	if e := outcomes[0].Event; e == nil || e.User != who.User || e.Client != who.Client {
		t.Errorf("event %+v", e)
	}
}
