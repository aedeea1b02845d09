package sqlite

import (
	"errors"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// faults says at which stages a transaction fails, how often each.
type faults map[stage]int

const always = 1 << 30

func (f faults) failAt(s stage) error {
	if f[s] == 0 {
		return nil
	}
	f[s]--
	return errors.New("fault at " + string(s))
}

// TestFaultAtEachStage: the answer to a transaction is what became of it,
// wherever it failed, and a retry with its key takes effect once (I8).
func TestFaultAtEachStage(t *testing.T) {
	for _, c := range []struct {
		name    string
		faults  faults
		code    messages.Code
		applied bool
	}{
		{"begin", faults{stageBegin: 1}, messages.CodeUnavailable, false},
		{"after the statements", faults{stageBody: 1}, messages.CodeUnavailable, false},
		{"commit failed, not applied", faults{stageCommit: 1}, messages.CodeUnavailable, false},
		{"commit failed, but applied", faults{stageCommitted: 1}, messages.OK, true},
		{"not applied, found out at the third look", faults{stageCommit: 1, stageResolve: 2}, messages.CodeUnavailable, false},
		{"applied, found out at the third look", faults{stageCommitted: 1, stageResolve: 2}, messages.OK, true},
		{"not applied, and cannot be sealed at first", faults{stageCommit: 2}, messages.CodeUnavailable, false},
		{"applied, and cannot be looked for at first", faults{stageCommitted: 1, stageCommit: 0, stageResolve: 1}, messages.OK, true},
		{"not applied, never found out", faults{stageCommit: 1, stageResolve: always}, messages.CodeOutcomeUnknown, false},
		{"applied, never found out", faults{stageCommitted: 1, stageResolve: always}, messages.CodeOutcomeUnknown, true},
	} {
		t.Run(c.name, func(t *testing.T) { faultCase(t, c.faults, c.code, c.applied) })
	}
}

func faultCase(t *testing.T, f faults, code messages.Code, applied bool) {
	t.Helper()
	s := newStore(t)
	s.committer.ResolveWithin = time.Minute // what can be found out is, however slow the disk
	if f[stageResolve] == always {
		s.committer.ResolveWithin = 200 * time.Millisecond
	}
	users, clients := cast(t, s, 2)
	other := start(t, s, users[1], clients[1])
	claim := claimOf(users[0], clients[0])
	claim.Key = &messages.Key{Caller: "user:1", Value: "retry"}
	batch := []messages.Write{claim, releaseOf(other)}

	clearOutbox(t, s)
	s.writer.fault = f.failAt
	_, err := s.Commit(t.Context(), batch)
	if got := messages.CodeOf(err); got != code {
		t.Fatalf("code %q, want %q: %v", got, code, err)
	}
	s.writer.fault = nil
	held := heldCalls(t, s)
	if _, ok := held[claim.Call]; ok != applied {
		t.Fatalf("the claim is in progress: %t, want %t", ok, applied)
	}
	if _, ok := held[other.ID]; ok == applied {
		t.Fatalf("the batch is there by half")
	}
	told := map[bool]int{true: 1}[applied]
	if got := outboxRows(t, s); len(got) != told || (applied && len(got[0].Events) != 2) {
		t.Fatalf("the outbox holds %+v", got)
	}
	got, err := s.Commit(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	want := [2]messages.OutcomeKind{messages.OutcomeDone, messages.OutcomeDone}
	if applied {
		want = [2]messages.OutcomeKind{messages.OutcomeReplayed, messages.OutcomeCallOver}
	}
	if got[0].Kind != want[0] || got[1].Kind != want[1] {
		t.Fatalf("the retry is %+v", got)
	}
	if got := outboxRows(t, s); len(got) != 1 || len(got[0].Events) != 2 {
		t.Fatalf("after the retry the outbox holds %+v", got)
	}
	wantSound(t, s)
}

func outboxRows(t *testing.T, s *Store) []messages.OutboxRow {
	t.Helper()
	rows, err := s.OutboxRows(t.Context(), nil, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func clearOutbox(t *testing.T, s *Store) {
	t.Helper()
	var ids []int64
	for _, row := range outboxRows(t, s) {
		ids = append(ids, row.ID)
	}
	if err := s.ClearOutbox(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
}

// TestUnknownOutcomeHoldsUpReaders: until the fate of a lost transaction is
// sealed nobody is told what is in progress.
func TestUnknownOutcomeHoldsUpReaders(t *testing.T) {
	s := newStore(t)
	s.committer.ResolveWithin = 50 * time.Millisecond
	users, clients := cast(t, s, 1)
	sick := faults{stageCommit: always}
	s.writer.fault = sick.failAt
	_, err := s.Commit(t.Context(), []messages.Write{claimOf(users[0], clients[0])})
	if got := messages.CodeOf(err); got != messages.CodeOutcomeUnknown {
		t.Fatalf("code %q: %v", got, err)
	}
	for name, read := range map[string]func() error{
		"ClaimsOfUsers":   func() error { _, err := s.ClaimsOfUsers(t.Context(), users); return err },
		"ClaimsOfClients": func() error { _, err := s.ClaimsOfClients(t.Context(), clients); return err },
		"CallsInProgress": func() error { _, err := s.CallsInProgress(t.Context()); return err },
		"Expired":         func() error { _, err := s.Expired(t.Context(), 1); return err },
	} {
		if got := messages.CodeOf(read()); got != messages.CodeUnavailable {
			t.Errorf("%s: code %q, want %q", name, got, messages.CodeUnavailable)
		}
	}
	s.writer.fault = nil
	if n := len(heldCalls(t, s)); n != 0 {
		t.Fatalf("%d calls are in progress", n)
	}
	start(t, s, users[0], clients[0])
}
