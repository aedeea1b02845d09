package postgres_test

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

func newReport() *messages.Report {
	return &messages.Report{
		Source: "/pbx", ID: uuid.NewString(), CallRef: uuid.NewString(), OccurredAt: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
	}
}

// reports is one write of each kind that a report can ask for: an end of what
// never began, a note, a refusal, a start, a name of a call that was claimed.
func (b *bench) reports(t *testing.T) []messages.Write {
	t.Helper()
	b.heal()
	users, clients := b.people(t, 5), b.clients(t, 5)
	write := func(i int, kind messages.WriteKind) messages.Write {
		r := newReport()
		return messages.Write{Kind: kind, User: users[i], Client: clients[i], Call: r.Call(), Report: r}
	}
	end, note, refusal, start := write(0, messages.WriteRelease), write(1, messages.WriteNote), write(2, messages.WriteNote), write(3, messages.WriteClaim)
	end.Reason = messages.ReasonCompleted
	refusal.Refusal = &messages.Answer{Code: messages.CodeUserOnCall}
	start.Lease = time.Hour
	name, claimed := write(4, messages.WriteNote), b.claim(t, users[4], clients[4])
	name.Call, name.Token, name.Adopts = claimed.ID, claimed.Token, true
	return []messages.Write{end, note, refusal, start, name}
}

// TestReportsWhoseCommitIsLost: what became of a batch of reports is found out,
// of each kind alone as well: it may be all that tells the transaction from
// another one with its id.
func TestReportsWhoseCommitIsLost(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	lose := func(conn *pgx.Conn) error { faulty(conn).loseCommit.Store(true); return nil }
	swallow := func(conn *pgx.Conn) error {
		b.terminate(t, conn) // before the commit reaches it
		return nil
	}
	for _, one := range []int{-1, 0, 1, 2, 3, 4} {
		some := func() []messages.Write {
			all := b.reports(t)
			if one >= 0 {
				return all[one : one+1]
			}
			return all
		}
		batch := some()
		b.breakOnce("commit", lose)
		outcomes, err := b.store.Commit(t.Context(), batch)
		if err != nil {
			t.Fatalf("%d: the commit happened, and its answer was lost: %v", one, err)
		}
		for i, o := range outcomes {
			want := messages.OutcomeDone
			if batch[i].Kind == messages.WriteRelease {
				want = messages.OutcomeCallOver
			}
			if o.Kind != want || (o.Event != nil) != (batch[i].Refusal != nil || batch[i].Kind == messages.WriteClaim) {
				t.Errorf("%d: %+v", one, o)
			}
		}
		again, err := b.store.Commit(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range again {
			wantKinds(t, []messages.Outcome{o}, messages.OutcomeReplayed)
		}

		batch = some()
		b.breakOnce("commit", swallow)
		if _, err := b.store.Commit(t.Context(), batch); messages.CodeOf(err) != messages.CodeUnavailable {
			t.Fatalf("%d: the commit never happened: %v", one, err)
		}
		outcomes, err = b.store.Commit(t.Context(), batch)
		if err != nil || outcomes[0].Kind == messages.OutcomeReplayed {
			t.Errorf("%d: made again, it is %+v, %v", one, outcomes, err)
		}
	}
}

// TestReportsThatMeet: between the moment a batch has read what was reported and
// its commit, another node records the other half of the call. The batch must
// notice.
func TestReportsThatMeet(t *testing.T) {
	url := pgtest.URL(t)
	b, other := newBench(t, url, nil), open(t, url)
	for _, startFirst := range []bool{true, false} {
		users, clients := b.people(t, 1), b.clients(t, 1)
		r, over := newReport(), newReport()
		over.CallRef = r.CallRef
		start := messages.Write{Kind: messages.WriteClaim, User: users[0], Client: clients[0], Call: r.Call(), Lease: time.Hour, Report: r}
		end := messages.Write{
			Kind: messages.WriteRelease, User: users[0], Client: clients[0], Call: r.Call(), Reason: messages.ReasonCompleted, Report: over,
		}
		first, second := end, start
		if startFirst {
			first, second = start, end
		}
		met := false
		b.breakOnce("apply", func(*pgx.Conn) error { // second has read by now
			outcomes, err := other.Commit(t.Context(), []messages.Write{first})
			met = err == nil && outcomes[0].Kind != messages.OutcomeReplayed
			return err
		})
		outcomes, err := b.store.Commit(t.Context(), []messages.Write{second})
		if err != nil || !met {
			t.Fatalf("met: %t, %v", met, err)
		}
		want := messages.OutcomeCallOver
		if startFirst {
			want = messages.OutcomeDone // the end has found the call
		}
		wantKinds(t, outcomes, want)
		claims, err := b.store.ClaimsOfUsers(t.Context(), users)
		if err != nil || len(claims) != 0 {
			t.Errorf("start first: %t: a call is left behind: %+v, %v", startFirst, claims, err)
		}
		b.heal()
	}
}

// TestNamesThatMeet: between the moment a batch has read what a source calls a call and
// its commit, another node records something else under that name. The batch must notice.
func TestNamesThatMeet(t *testing.T) {
	url := pgtest.URL(t)
	b, other := newBench(t, url, nil), open(t, url)
	users, clients := b.people(t, 1), b.clients(t, 1)
	claimed := b.claim(t, users[0], clients[0])
	r, over := newReport(), newReport()
	r.OccurredAt, over.OccurredAt, over.CallRef = claimed.StartedAt, claimed.StartedAt.Add(time.Minute), r.CallRef
	name := messages.Write{
		Kind: messages.WriteNote, User: users[0], Client: clients[0], Call: claimed.ID, Token: claimed.Token, Report: r, Adopts: true,
	}
	end := messages.Write{
		Kind: messages.WriteRelease, User: users[0], Client: clients[0], Call: r.Call(), Reason: messages.ReasonCompleted, Report: over,
	}
	b.breakOnce("apply", func(*pgx.Conn) error {
		outcomes, err := other.Commit(t.Context(), []messages.Write{end})
		if err == nil {
			wantKinds(t, outcomes, messages.OutcomeCallOver)
		}
		return err
	})
	outcomes, err := b.store.Commit(t.Context(), []messages.Write{name})
	if err != nil {
		t.Fatal(err)
	}
	wantKinds(t, outcomes, messages.OutcomeFoundOver)
}

// TestRecordsOfTheReleaseBefore: what it has recorded of a call that was over before
// anybody had heard of it looks like a call that began. It ends nothing.
func TestRecordsOfTheReleaseBefore(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	users, clients := b.people(t, 1), b.clients(t, 1)
	claimed := b.claim(t, users[0], clients[0])
	r := newReport()
	r.OccurredAt = claimed.StartedAt
	err := b.store.OnEngine(t.Context(), func(conn *pgx.Conn) error {
		_, err := conn.Exec(t.Context(), `INSERT INTO reported_calls (call_id, source, occurred_at, at) VALUES ($1, $2, $3, now())`,
			r.Call().String(), r.SourceKey().String(), claimed.StartedAt.Add(time.Minute))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := b.store.Commit(t.Context(), []messages.Write{{
		Kind: messages.WriteNote, User: users[0], Client: clients[0], Call: claimed.ID, Token: claimed.Token, Report: r, Adopts: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantKinds(t, outcomes, messages.OutcomeCallOver)
}
