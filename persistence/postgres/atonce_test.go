package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// A batch that is written at once has no commit of its own whose fate could be
// asked for. However it is lost, it takes effect once, and its caller is told so.
func TestAtOnceFaults(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	if _, err := b.store.Occupy(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	users, clients := b.people(t, 20), b.clients(t, 20)
	n := 0
	for name, f := range map[string]struct {
		do    func(t *testing.T, conn *pgx.Conn) error
		ended messages.OutcomeKind // of a release
	}{
		"nothing": {func(*testing.T, *pgx.Conn) error { return nil }, messages.OutcomeDone},
		"connection broken before it is sent": {
			func(_ *testing.T, conn *pgx.Conn) error { return faulty(conn).Close() }, messages.OutcomeDone,
		},
		"session ended by the server": {
			func(t *testing.T, conn *pgx.Conn) error { b.terminate(t, conn); return nil }, messages.OutcomeDone,
		},
		"request lost on the way": {func(_ *testing.T, conn *pgx.Conn) error {
			faulty(conn).swallow.Store(true)
			return faulty(conn).SetReadDeadline(time.Now())
		}, messages.OutcomeDone},
		"reply lost": {
			func(_ *testing.T, conn *pgx.Conn) error { faulty(conn).loseReply.Store(true); return nil }, messages.OutcomeDone,
		},
		"a deadlock": {
			func(t *testing.T, conn *pgx.Conn) error { return failBy(t, "40P01")(conn) }, messages.OutcomeDone,
		},
	} {
		t.Run(name, func(t *testing.T) {
			once := func(w messages.Write) messages.Outcome {
				t.Helper()
				b.store.WriteCarefully(0)
				reached := false
				b.breakOnce(postgres.StageAtOnce, func(conn *pgx.Conn) error { reached = true; return f.do(t, conn) })
				defer b.heal()
				outcomes, err := b.store.Commit(t.Context(), []messages.Write{w})
				if err != nil || !reached {
					t.Fatalf("%v; written at once: %v", err, reached)
				}
				return outcomes[0]
			}
			n++
			begun := once(messages.Write{
				Kind: messages.WriteClaim, User: users[n], Client: clients[n], Call: newCall(), Lease: time.Hour,
			})
			if begun.Kind != messages.OutcomeDone || begun.Call.Token != 1 {
				t.Fatalf("begun: %+v", begun)
			}
			ended := once(messages.Write{
				Kind: messages.WriteRelease, User: users[n], Client: clients[n], Call: begun.Call.ID, Token: begun.Call.Token,
				Reason: messages.ReasonCompleted, Disposition: "SALE",
			})
			if ended.Kind != f.ended {
				t.Errorf("ended: %+v, want kind %d", ended, f.ended)
			}
			b.wantToldOnce(t, begun, ended)
		})
	}
}

// wantToldOnce checks that a call is in the history, and its start and its end
// stand in the outbox once each, in this order and as their outcomes say.
func (b *bench) wantToldOnce(t *testing.T, begun, ended messages.Outcome) {
	t.Helper()
	var kept int
	err := b.direct.QueryRow(t.Context(), `SELECT count(*) FROM calls WHERE id = $1 AND disposition = 'SALE'`, begun.Call.ID.UUID).Scan(&kept)
	if err != nil || kept != 1 {
		t.Errorf("%v; the call stands %d times in the history", err, kept)
	}
	rows, err := b.store.OutboxRows(t.Context(), nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var told []messages.Event
	for _, row := range rows {
		for _, e := range row.Events {
			if e.Call.ID == begun.Call.ID {
				told = append(told, e)
			}
		}
	}
	if len(told) != 2 || told[0].Type != messages.EventCallStarted || told[1].Type != messages.EventCallEnded {
		t.Fatalf("I7: the outbox has %+v", told)
	}
	for i, o := range []messages.Outcome{begun, ended} {
		if o.Event == nil {
			t.Errorf("no event of %+v", o)
			continue
		}
		if name := "reply lost"; i == 1 && strings.HasSuffix(t.Name(), strings.ReplaceAll(name, " ", "_")) {
			o.Event.Call.LeaseExpiresAt = told[i].Call.LeaseExpiresAt // is not kept
		}
		if diff := cmp.Diff(*o.Event, told[i]); diff != "" {
			t.Errorf("the outcome (-) and the outbox (+) differ:\n%s", diff)
		}
	}
}

// Nothing is claimed to be known of a batch that was written at once as long as
// the database is held up in it: neither by the answer, nor by what is read then.
func TestAtOnceUnknown(t *testing.T) {
	url := pgtest.URL(t)
	b := newBench(t, url, nil)
	if _, err := b.store.Occupy(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	b.store.ResolveWithin(50 * time.Millisecond)
	user, client := b.people(t, 1)[0], b.clients(t, 1)[0]
	obstacle, err := connectTo(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, obstacle, `LOCK TABLE claims IN ACCESS EXCLUSIVE MODE`)
	b.breakOnce(postgres.StageAtOnce, func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), `SET lock_timeout = '1min'`)
		return err
	})
	ctx, giveUp := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := b.store.Commit(ctx, []messages.Write{{Kind: messages.WriteClaim, User: user, Client: client, Call: newCall(), Lease: time.Hour}})
		result <- err
	}()
	eventually(t, "the write to be held up", func() bool {
		var n int
		err := b.direct.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'claims'::regclass`).Scan(&n)
		return err == nil && n == 1
	})
	giveUp()
	if err := <-result; messages.CodeOf(err) != messages.CodeOutcomeUnknown {
		t.Fatalf("%v, want %q", err, messages.CodeOutcomeUnknown)
	}
	if held, err := b.store.ClaimsOfUsers(t.Context(), []messages.UserID{user}); err == nil {
		t.Errorf("claims are read while the database is held up: %+v", held)
	}
	if err := obstacle.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	var held []messages.HeldClaim
	eventually(t, "claims to be readable", func() bool {
		held, err = b.store.ClaimsOfUsers(t.Context(), []messages.UserID{user})
		return err == nil
	})
	var stored int
	if err := b.direct.QueryRow(t.Context(), `SELECT count(*) FROM claims`).Scan(&stored); err != nil || stored != len(held) {
		t.Errorf("%v; %d claims were read, and %d are there", err, len(held), stored)
	}
}

// A claim is not read while a session that nobody waits for any more could still
// change it. One that waits for its client only is ended.
func TestClaimsWaitForUnresolvedSessions(t *testing.T) {
	url := pgtest.URL(t)
	b := newBench(t, url, nil)
	u := b.people(t, 1)
	readable := func() error { _, err := b.store.ClaimsOfUsers(t.Context(), u); return err }
	mustExec(t, b.direct, `SELECT pg_advisory_lock(1)`)
	busy, idle := connectTo(t, url), connectTo(t, url)
	forget := func(conn *pgx.Conn) {
		t.Helper()
		var born time.Time
		pid := conn.PgConn().PID()
		if err := conn.QueryRow(t.Context(), `SELECT backend_start FROM pg_stat_activity WHERE pid = $1`, int64(pid)).Scan(&born); err != nil {
			t.Fatal(err)
		}
		b.store.ForgetSession(pid, born)
	}
	forget(busy)
	done := make(chan error, 1)
	go func() {
		_, err := busy.Exec(t.Context(), `SELECT pg_advisory_lock(1)`)
		done <- err
	}()
	eventually(t, "the session to be busy", func() bool {
		var n int
		err := b.direct.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $1`, int64(busy.PgConn().PID())).Scan(&n)
		return err == nil && n == 1
	})
	if err := readable(); messages.CodeOf(err) != messages.CodeUnavailable {
		t.Fatalf("a session is busy, and claims are answered: %v", err)
	}
	mustExec(t, b.direct, `SELECT pg_advisory_unlock(1)`)
	if err := <-done; err != nil {
		t.Error(err)
	}
	forget(idle)
	eventually(t, "both sessions to be over", func() bool { return readable() == nil })
	if idle.Ping(t.Context()) == nil || busy.Ping(t.Context()) == nil {
		t.Error("a session whose client is gone lives on")
	}
}
