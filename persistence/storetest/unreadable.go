package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// Outbox reaches into the outbox of a store past its contract.
type Outbox struct {
	// Spoil writes a row that holds these bytes.
	Spoil func(t *testing.T, events []byte)
	// Aside returns the rows that were set aside, in the order of their ids.
	Aside func(t *testing.T) []Aside
}

// Aside is a row that was set aside.
type Aside struct {
	ID        int64
	WrittenAt time.Time
	Events    []byte
	Reason    string
}

// RunUnreadable holds a store, empty and alone, to what becomes of rows of the
// outbox that cannot be read.
func RunUnreadable(t *testing.T, s persistence.Store, o Outbox) {
	t.Helper()
	users, clients := addUsers(t, s, 3), addClients(t, s, 3)
	first := start(t, s, users[0], clients[0])
	o.Spoil(t, []byte("no events"))
	second := start(t, s, users[1], clients[1])
	readable := persistence.EncodeEvents(commit(t, s, claimOf(users[2], clients[2])), 0)[0]
	clearLast(t, s)
	partly := append([]byte{0x0a, 2, 0x08, 99}, readable...) // an event of a type that nobody knows, and another
	o.Spoil(t, partly)
	end(t, s, first)

	rows := outboxRows(t, s)
	wantEqual(t, "rows", len(rows), 5)
	for i, want := range []struct {
		events     int
		unreadable bool
	}{{1, false}, {0, true}, {1, false}, {1, true}, {1, false}} {
		if row := rows[i]; len(row.Events) != want.events || (row.Unreadable != nil) != want.unreadable {
			t.Fatalf("row %d: %+v, want %+v", i, row, want)
		}
	}
	wantEqual(t, "a row behind one that cannot be read", rows[2].Events[0].Call.ID, second.ID)
	wantEqual(t, "what can be read of a row", rows[3].Events[0].Call.UserID, users[2].ID)
	wantCode(t, rows[1].Unreadable, messages.CodeInternal)

	for range 2 {
		noError(t, s.SetOutboxAside(t.Context(), rows[1].ID, "no events in it"))
		noError(t, s.SetOutboxAside(t.Context(), rows[3].ID, "an event of type 99"))
		wantEqual(t, "rows left", rowIDs(outboxRows(t, s)), []int64{rows[0].ID, rows[2].ID, rows[4].ID})
	}
	noError(t, s.SetOutboxAside(t.Context(), rows[4].ID+1, "is not there"))
	got := o.Aside(t)
	wantEqual(t, "rows set aside", len(got), 2)
	for i, want := range []Aside{
		{ID: rows[1].ID, Events: []byte("no events"), Reason: "no events in it"},
		{ID: rows[3].ID, Events: partly, Reason: "an event of type 99"},
	} {
		if got[i].WrittenAt.Before(first.StartedAt) {
			t.Errorf("row %d was written at %v", got[i].ID, got[i].WrittenAt)
		}
		want.WrittenAt = got[i].WrittenAt
		wantEqual(t, "a row set aside", got[i], want)
	}
	n, _, err := s.OutboxBacklog(t.Context())
	noError(t, err)
	wantEqual(t, "backlog", n, 3)
}

// clearLast removes the newest row.
func clearLast(t *testing.T, s persistence.Store) {
	t.Helper()
	ids := rowIDs(outboxRows(t, s))
	noError(t, s.ClearOutbox(t.Context(), ids[len(ids)-1:]))
}
