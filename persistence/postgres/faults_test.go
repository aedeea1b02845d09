package postgres_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// faultyConn is a connection that loses a request or a reply when it is told.
type faultyConn struct {
	net.Conn
	swallow    atomic.Bool // requests vanish, and nothing ever comes back
	loseCommit atomic.Bool // the connection breaks as it says that a commit is done
	loseReply  atomic.Bool // the connection breaks as it returns one row and is ready again
	onLost     func()      // runs then; nil: nothing. Set before loseCommit
}

func (c *faultyConn) Write(p []byte) (int, error) {
	if c.swallow.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *faultyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.loseCommit.Load() && bytes.Contains(p[:n], []byte("COMMIT\x00")) {
		if c.onLost != nil {
			c.onLost()
		}
		return 0, io.ErrUnexpectedEOF
	}
	if c.loseReply.Load() && bytes.Contains(p[:n], []byte("SELECT 1\x00")) && bytes.Contains(p[:n], []byte("Z\x00\x00\x00\x05")) {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func dialFaulty(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &faultyConn{Conn: conn}, nil
}

func faulty(conn *pgx.Conn) *faultyConn { return conn.PgConn().Conn().(*faultyConn) }

// bench is a store to break and a connection to look at what it left behind.
type bench struct {
	store  *postgres.Store
	direct *pgx.Conn
	url    string
	server *pgtest.Server // nil: shared with other tests
}

func newBench(t *testing.T, url string, server *pgtest.Server) *bench {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.WithDial(postgres.Config{URL: url}, dialFaulty))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := &bench{store: s, url: url, server: server}
	b.reconnect(t)
	return b
}

func (b *bench) reconnect(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	b.direct = conn
}

// breakOnce breaks the connection at the first time that a stage is reached.
func (b *bench) breakOnce(stage string, f func(conn *pgx.Conn) error) {
	done := false
	b.store.BreakAt(func(at string, conn *pgx.Conn) error {
		if done || at != stage {
			return nil
		}
		done = true
		return f(conn)
	})
}

func (b *bench) heal() { b.store.BreakAt(func(string, *pgx.Conn) error { return nil }) }

// everything makes a batch that goes through every stage: a release with log
// and audit, a renewal, a claim and a refused one, each with a key.
func (b *bench) everything(t *testing.T) []messages.Write {
	t.Helper()
	b.heal()
	users, clients := b.people(t, 4), b.clients(t, 3)
	first := b.claim(t, users[0], clients[0])
	second := b.claim(t, users[1], clients[1])
	audit := messages.Audit{By: "system", Action: "call.force_released", Subject: "user:" + users[0].String()}
	key := func() *messages.Key { return &messages.Key{Caller: "key:faults", Value: uuid.NewString()} }
	return []messages.Write{
		{
			Kind: messages.WriteRelease, User: first.UserID, Client: first.ClientID, Call: first.ID, Token: first.Token,
			Reason: messages.ReasonForceReleased, Audit: &audit, Key: key(),
			Log: &messages.CallLog{
				ID: messages.LogID{UUID: uuid.New()}, ClientID: first.ClientID, UserID: first.UserID,
				CallType: "outbound", CallStatus: "completed",
			},
		},
		{
			Kind: messages.WriteRenew, User: second.UserID, Client: second.ClientID, Call: second.ID, Token: second.Token,
			Lease: 9 * time.Hour, Key: key(),
		},
		{Kind: messages.WriteClaim, User: users[2], Client: clients[2], Call: newCall(), Lease: time.Hour, Key: key()},
		{Kind: messages.WriteClaim, User: users[3], Client: clients[1], Call: newCall(), Lease: time.Hour, Key: key()},
	}
}

func newCall() messages.CallID { return messages.CallID{UUID: uuid.New()} }

func (b *bench) people(t *testing.T, n int) []messages.UserID {
	t.Helper()
	people := make([]messages.NewUser, n)
	for i := range people {
		people[i].User = messages.User{FirstName: "Ana", Email: uuid.NewString() + "@example.com", Role: messages.RoleUser}
	}
	users, err := b.store.AddUsers(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]messages.UserID, n)
	for i, u := range users {
		ids[i] = u.ID
	}
	return ids
}

func (b *bench) clients(t *testing.T, n int) []messages.ClientID {
	t.Helper()
	clients := make([]messages.Client, n)
	if err := b.store.AddClients(t.Context(), clients); err != nil {
		t.Fatal(err)
	}
	ids := make([]messages.ClientID, n)
	for i, c := range clients {
		ids[i] = c.ID
	}
	return ids
}

func (b *bench) claim(t *testing.T, u messages.UserID, c messages.ClientID) messages.Call {
	t.Helper()
	outcomes, err := b.store.Commit(t.Context(), []messages.Write{
		{Kind: messages.WriteClaim, User: u, Client: c, Call: newCall(), Lease: time.Hour},
	})
	if err != nil || outcomes[0].Kind != messages.OutcomeDone {
		t.Fatalf("claim: %v, %+v", err, outcomes)
	}
	return outcomes[0].Call
}

// contents is what a batch of everything may change.
type contents struct{ FirstHeld, SecondRenewed, ThirdHeld, Finished, Logs, Audit, Keys, Rows, Events int }

var (
	untouched = contents{FirstHeld: 1}
	changed   = contents{SecondRenewed: 1, ThirdHeld: 1, Finished: 1, Logs: 1, Audit: 1, Keys: 4, Rows: 1, Events: 2}
)

func (b *bench) contents(t *testing.T, w []messages.Write) contents {
	t.Helper()
	var c contents
	values := make([]string, len(w))
	for i := range w {
		values[i] = w[i].Key.Value
	}
	err := b.direct.QueryRow(t.Context(), `
SELECT (SELECT count(*) FROM claims WHERE call_id = $1),
       (SELECT count(*) FROM claims WHERE call_id = $2 AND lease_expires_at > now() + interval '8 hours'),
       (SELECT count(*) FROM claims WHERE call_id = $3),
       (SELECT count(*) FROM calls WHERE id = $1),
       (SELECT count(*) FROM call_logs WHERE id = $4),
       (SELECT count(*) FROM audit WHERE subject = $5),
       (SELECT count(*) FROM idempotency_keys WHERE key = ANY ($6) AND answer IS NOT NULL)`,
		w[0].Call.UUID, w[1].Call.UUID, w[2].Call.UUID, w[0].Log.ID.UUID, w[0].Audit.Subject, values).
		Scan(&c.FirstHeld, &c.SecondRenewed, &c.ThirdHeld, &c.Finished, &c.Logs, &c.Audit, &c.Keys)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := b.direct.Query(t.Context(), `SELECT events FROM outbox`)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range stored {
		events, err := persistence.DecodeEvents(row)
		if err != nil {
			t.Fatal(err)
		}
		before := c.Events
		for _, e := range events {
			if e.ID == messages.EventID(w[0].Call, messages.EventCallEnded) || e.ID == messages.EventID(w[2].Call, messages.EventCallStarted) {
				c.Events++
			}
		}
		if c.Events > before {
			c.Rows++
		}
	}
	return c
}

// wantBatch commits the batch and holds the answer and the store to what is
// expected.
func (b *bench) wantBatch(t *testing.T, w []messages.Write, code messages.Code, want contents) {
	t.Helper()
	outcomes, err := b.store.Commit(t.Context(), w)
	if got := messages.CodeOf(err); got != code {
		t.Errorf("code %q, want %q: %v", got, code, err)
	}
	if diff := cmp.Diff(want, b.contents(t, w)); diff != "" {
		t.Errorf("the store (-want +got):\n%s", diff)
	}
	if code == messages.OK && err == nil {
		wantKinds(t, outcomes, messages.OutcomeDone, messages.OutcomeDone, messages.OutcomeDone, messages.OutcomeClientHeld)
	}
}

func wantKinds(t *testing.T, outcomes []messages.Outcome, want ...messages.OutcomeKind) {
	t.Helper()
	for i, o := range outcomes {
		if o.Kind != want[i] {
			t.Errorf("outcome %d is %d, want %d: %+v", i, o.Kind, want[i], o)
		}
	}
}

// terminate ends the session from the server's side and waits until it is gone.
func (b *bench) terminate(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	pid := conn.PgConn().PID()
	if _, err := b.direct.Exec(t.Context(), `SELECT pg_terminate_backend($1)`, int64(pid)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session to end", func() bool {
		var gone bool
		err := b.direct.QueryRow(t.Context(), `SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)`, int64(pid)).Scan(&gone)
		return err == nil && gone
	})
}

// eventually asks until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// The fault table of the committer, on Postgres: at each message to the server,
// the ways in which it can be lost, with what must be answered and what must
// be in the store.
func TestFaultTable(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	type fault struct {
		name string
		do   func(t *testing.T, conn *pgx.Conn) error
	}
	notApplied := []fault{
		{"connection broken before it is sent", func(_ *testing.T, conn *pgx.Conn) error { return faulty(conn).Close() }},
		{"session ended by the server", func(t *testing.T, conn *pgx.Conn) error { b.terminate(t, conn); return nil }},
		{"request lost on the way", func(_ *testing.T, conn *pgx.Conn) error {
			faulty(conn).swallow.Store(true)
			return faulty(conn).SetReadDeadline(time.Now())
		}},
	}
	stages := postgres.Stages
	if testing.Short() {
		stages = stages[len(stages)-1:]
	}
	for _, stage := range stages {
		for _, f := range notApplied {
			t.Run(stage+"/"+f.name, func(t *testing.T) {
				w := b.everything(t)
				b.breakOnce(stage, func(conn *pgx.Conn) error { return f.do(t, conn) })
				b.wantBatch(t, w, messages.CodeUnavailable, untouched)
				b.heal()
				b.wantBatch(t, w, messages.OK, changed) // nothing of it stayed behind
			})
		}
	}
	t.Run("commit/reply lost", func(t *testing.T) {
		w := b.everything(t)
		b.breakOnce("commit", func(conn *pgx.Conn) error {
			faulty(conn).loseCommit.Store(true)
			return nil
		})
		b.wantBatch(t, w, messages.OK, changed)
	})
	t.Run("commit/reply lost of a batch without keys", func(t *testing.T) {
		u, c := b.people(t, 1)[0], b.clients(t, 1)[0]
		b.breakOnce("commit", func(conn *pgx.Conn) error {
			faulty(conn).loseCommit.Store(true)
			return nil
		})
		call := b.claim(t, u, c)
		held, err := b.store.ClaimsOfUsers(t.Context(), []messages.UserID{u})
		if err != nil || len(held) != 1 || held[0].Call != call {
			t.Fatalf("%v, %+v, want %+v", err, held, call)
		}
	})
	t.Run("commit/reply lost of a claim made again, with a key", func(t *testing.T) {
		u, c := b.people(t, 1)[0], b.clients(t, 1)[0]
		call := b.claim(t, u, c)
		w := messages.Write{
			Kind: messages.WriteClaim, User: u, Client: c, Call: call.ID, Lease: time.Hour,
			Key: &messages.Key{Caller: "key:faults", Value: uuid.NewString()},
		}
		b.breakOnce("commit", func(conn *pgx.Conn) error {
			faulty(conn).loseCommit.Store(true)
			return nil
		})
		outcomes, err := b.store.Commit(t.Context(), []messages.Write{w})
		if err != nil {
			t.Fatal(err)
		}
		wantKinds(t, outcomes, messages.OutcomeDone)
	})
	t.Run("commit/reply lost of a renewal alone, which leaves no witness", func(t *testing.T) {
		call := b.claim(t, b.people(t, 1)[0], b.clients(t, 1)[0])
		b.breakOnce("commit", func(conn *pgx.Conn) error {
			faulty(conn).loseCommit.Store(true)
			return nil
		})
		w := messages.Write{
			Kind: messages.WriteRenew, User: call.UserID, Client: call.ClientID, Call: call.ID, Token: call.Token, Lease: 9 * time.Hour,
		}
		_, err := b.store.Commit(t.Context(), []messages.Write{w})
		if messages.CodeOf(err) != messages.CodeOutcomeUnknown {
			t.Fatalf("%v, want %q", err, messages.CodeOutcomeUnknown)
		}
		held, err := b.store.ClaimsOfUsers(t.Context(), []messages.UserID{call.UserID})
		if err != nil || len(held) != 1 || held[0].Lease != w.Lease {
			t.Fatalf("%v, %+v", err, held)
		}
	})
	t.Run("commit/the caller gives up, reply lost", func(t *testing.T) {
		w := b.everything(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b.breakOnce("commit", func(*pgx.Conn) error { cancel(); return nil })
		_, err := b.store.Commit(ctx, w)
		switch got := b.contents(t, w); messages.CodeOf(err) {
		case messages.OK:
			if got != changed {
				t.Errorf("answered as applied, the store has %+v", got)
			}
		case messages.CodeUnavailable:
			if got != untouched {
				t.Errorf("answered as not applied, the store has %+v", got)
			}
		default:
			t.Errorf("the server could be asked, and the answer is %v", err)
		}
	})
}

// Deadlocks are retried whole until they are over, or for a bounded time.
func TestDeadlockIsRetried(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	for _, stage := range postgres.Stages {
		t.Run(stage, func(t *testing.T) {
			w := b.everything(t)
			b.breakOnce(stage, failBy(t, "40P01"))
			b.wantBatch(t, w, messages.OK, changed)
		})
		t.Run(stage+", without end", func(t *testing.T) {
			w := b.everything(t)
			b.store.BreakAt(func(at string, conn *pgx.Conn) error {
				if at != stage {
					return nil
				}
				return failBy(t, "40001")(conn)
			})
			// The server is well: nobody else must be told that it is away.
			b.wantBatch(t, w, messages.CodeOverloaded, untouched)
		})
	}
}

// failBy makes the server report an error, as it would by itself.
func failBy(t *testing.T, code string) func(conn *pgx.Conn) error {
	return func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), `DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '`+code+`'; END $$`)
		return err
	}
}

// A claim is not read while a transaction that nobody waits for any more could
// still change it.
func TestClaimsWaitForUnresolvedTransactions(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	u := b.people(t, 1)
	tx, err := b.direct.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var xid string
	if err := tx.QueryRow(t.Context(), `SELECT pg_current_xact_id()::text`).Scan(&xid); err != nil {
		t.Fatal(err)
	}
	b.store.Forget(xid)
	if _, err := b.store.ClaimsOfUsers(t.Context(), u); messages.CodeOf(err) != messages.CodeUnavailable {
		t.Fatalf("a transaction is in progress, and claims are answered: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.ClaimsOfUsers(t.Context(), u); err != nil {
		t.Fatal(err)
	}
}
