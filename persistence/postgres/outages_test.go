package postgres_test

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/jackc/pgx/v5"
)

// What happens to a batch when the whole server goes away in the middle.
func TestServerStops(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: the server is restarted again and again; TestReconnect does it too")
	}
	server := pgtest.StartServer(t, pgtest.Options{Durable: true})
	b := newBench(t, server.MigratedURL(t, "dibs"), server)

	t.Run("at once and for good, before the commit is sent", func(t *testing.T) {
		w := b.everything(t)
		b.store.ResolveWithin(200 * time.Millisecond)
		b.breakOnce("commit", func(*pgx.Conn) error { return server.Stop(pgtest.Immediate) })
		_, err := b.store.Commit(t.Context(), w)
		if got := messages.CodeOf(err); got != messages.CodeOutcomeUnknown {
			t.Errorf("code %q, want %q: %v", got, messages.CodeOutcomeUnknown, err)
		}
		b.wantGone(t)
		b.restart(t)
		// The reload after an unknown outcome is exact.
		if held, err := b.store.ClaimsOfUsers(t.Context(), []messages.UserID{w[2].User}); err != nil || len(held) != 0 {
			t.Errorf("%v, %+v", err, held)
		}
		b.heal()
		b.wantBatch(t, w, messages.OK, changed)
	})

	t.Run("and comes back, before the commit is sent", func(t *testing.T) {
		w := b.everything(t)
		b.store.ResolveWithin(time.Minute)
		b.breakOnce("commit", func(*pgx.Conn) error {
			if err := server.Stop(pgtest.Immediate); err != nil {
				return err
			}
			return server.Start()
		})
		_, err := b.store.Commit(t.Context(), w)
		if got := messages.CodeOf(err); got != messages.CodeUnavailable {
			t.Errorf("code %q, want %q: %v", got, messages.CodeUnavailable, err)
		}
		b.reconnect(t)
		if got := b.contents(t, w); got != untouched {
			t.Errorf("the store has %+v", got)
		}
	})

	for name, gone := range map[string]bool{"comes back": false, "stays away": true} {
		t.Run("after the commit, its reply lost, and "+name, func(t *testing.T) {
			w := b.everything(t)
			want := messages.OK
			b.store.ResolveWithin(time.Minute)
			if gone {
				want = messages.CodeOutcomeUnknown
				b.store.ResolveWithin(200 * time.Millisecond)
			}
			b.breakOnce("commit", func(conn *pgx.Conn) error {
				c := faulty(conn)
				c.onLost = func() {
					if err := server.Stop(pgtest.Immediate); err != nil {
						t.Error(err)
					}
					if !gone {
						if err := server.Start(); err != nil {
							t.Error(err)
						}
					}
				}
				c.loseCommit.Store(true)
				return nil
			})
			_, err := b.store.Commit(t.Context(), w)
			if got := messages.CodeOf(err); got != want {
				t.Errorf("code %q, want %q: %v", got, want, err)
			}
			b.restart(t)
			if got := b.contents(t, w); got != changed {
				t.Errorf("the store has %+v", got)
			}
			held, err := b.store.ClaimsOfUsers(t.Context(), []messages.UserID{w[2].User})
			if err != nil || len(held) != 1 || held[0].ID != w[2].Call {
				t.Errorf("%v, %+v", err, held)
			}
		})
	}
}

// restart starts the server and waits until the store is back by itself.
func (b *bench) restart(t *testing.T) {
	t.Helper()
	if err := b.server.Start(); err != nil {
		t.Fatal(err)
	}
	b.reconnect(t)
	eventually(t, "the store to be back", func() bool { return b.store.Ping(t.Context()) == nil })
}

// wantGone fails unless the store says at once that it is unavailable.
func (b *bench) wantGone(t *testing.T) {
	t.Helper()
	began := time.Now()
	w := []messages.Write{{Kind: messages.WriteNote, User: messages.UserID{}}}
	_, commit := b.store.Commit(t.Context(), w)
	_, read := b.store.ClaimsOfUsers(t.Context(), nil)
	for what, err := range map[string]error{"Commit": commit, "ClaimsOfUsers": read, "Ping": b.store.Ping(t.Context())} {
		if messages.CodeOf(err) != messages.CodeUnavailable {
			t.Errorf("%s: %v, want %q", what, err, messages.CodeUnavailable)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to say that the store is gone", took)
	}
}

// A server that is restarted, killed or paused is used again without a restart
// of the store.
func TestReconnect(t *testing.T) {
	server := pgtest.StartServer(t, pgtest.Options{})
	b := newBench(t, server.MigratedURL(t, "dibs"), server)
	u, c := b.people(t, 1)[0], b.clients(t, 1)[0]
	for name, stop := range map[string]func() error{
		"fast":      func() error { return server.Stop(pgtest.Fast) },
		"immediate": func() error { return server.Stop(pgtest.Immediate) },
		"kill":      server.Kill,
	} {
		t.Run(name, func(t *testing.T) {
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			b.wantGone(t)
			b.restart(t)
			call := b.claim(t, u, c)
			w := messages.Write{
				Kind: messages.WriteRelease, User: u, Client: c, Call: call.ID, Token: call.Token,
				Reason: messages.ReasonCompleted,
			}
			if outcomes, err := b.store.Commit(t.Context(), []messages.Write{w}); err != nil || outcomes[0].Kind != messages.OutcomeDone {
				t.Fatalf("%v, %+v", err, outcomes)
			}
		})
	}
}

// A server that is there and does not answer counts as gone, within a bounded
// time, and is used again when it goes on.
func TestPausedServer(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: it waits out the time that an operation has")
	}
	server := pgtest.StartServer(t, pgtest.Options{})
	b := newBench(t, server.MigratedURL(t, "dibs"), server)
	u, c := b.people(t, 1)[0], b.clients(t, 1)[0]
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	w := messages.Write{Kind: messages.WriteClaim, User: u, Client: c, Call: newCall(), Lease: time.Hour}
	_, err := b.store.Commit(t.Context(), []messages.Write{w})
	if messages.CodeOf(err) != messages.CodeUnavailable {
		t.Errorf("code of %v, want %q", err, messages.CodeUnavailable)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store to be back", func() bool { return b.store.Ping(t.Context()) == nil })
	outcomes, err := b.store.Commit(t.Context(), []messages.Write{w})
	if err != nil || outcomes[0].Kind != messages.OutcomeDone {
		t.Fatalf("%v, %+v", err, outcomes)
	}
}
