package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/persistence"
)

// fillOutbox writes rows of about the same size, and returns it.
func fillOutbox(t *testing.T, s persistence.Store, rows int) (each int64) {
	t.Helper()
	users, clients := addUsers(t, s, rows), addClients(t, s, rows)
	for i := range rows {
		start(t, s, users[i], clients[i])
	}
	part, _, err := s.OutboxSize(t.Context(), 0, rows)
	noError(t, err)
	if each = part.Bytes / int64(rows); part.Rows != rows || each < 50 {
		t.Fatalf("%d rows with an event each are %+v", rows, part)
	}
	return each
}

func outboxSize(t *testing.T, s persistence.Store) {
	size := func(after int64, limit int) (part persistence.OutboxPart, last int64) {
		t.Helper()
		part, last, err := s.OutboxSize(t.Context(), after, limit)
		noError(t, err)
		return part, last
	}
	for _, after := range []int64{0, 17} {
		part, last := size(after, 10)
		wantEqual(t, "the size of an empty outbox", part, persistence.OutboxPart{})
		wantEqual(t, "its last row", last, after)
	}
	fillOutbox(t, s, 5)
	ids := rowIDs(outboxRows(t, s))
	all, last := size(0, 1000)
	wantEqual(t, "the last row", last, ids[4])
	var sum persistence.OutboxPart
	at := int64(0)
	for _, want := range []int64{ids[1], ids[3], ids[4], ids[4]} {
		part, last := size(at, 2)
		wantEqual(t, "the last of the next two", last, want)
		at, sum.Rows, sum.Bytes = last, sum.Rows+part.Rows, sum.Bytes+part.Bytes
	}
	wantEqual(t, "all, two rows at a time", sum, all)
}

func outboxTrim(t *testing.T, s persistence.Store) {
	trim := func(age time.Duration, excess int64, limit, want int) (bytes int64) {
		t.Helper()
		gone, err := s.TrimOutbox(t.Context(), age, excess, limit)
		noError(t, err)
		if gone.Rows != want || (want == 0) != (gone.Bytes == 0) {
			t.Fatalf("%+v went, want %d rows", gone, want)
		}
		return gone.Bytes
	}
	each := fillOutbox(t, s, 8)
	ids := rowIDs(outboxRows(t, s))
	all, _, err := s.OutboxSize(t.Context(), 0, 8)
	noError(t, err)
	bytes := all.Bytes

	trim(time.Hour, 0, 10, 0)
	trim(time.Hour, -1, 10, 0)
	wantEqual(t, "rows left", len(outboxRows(t, s)), 8)
	bytes -= trim(time.Hour, 1, 10, 1)
	bytes -= trim(time.Hour, each+each/2, 10, 2)
	wantEqual(t, "the oldest went", rowIDs(outboxRows(t, s)), ids[3:])
	bytes -= trim(time.Hour, 10*each, 2, 2)
	left, _, err := s.OutboxSize(t.Context(), 0, 8)
	noError(t, err)
	wantEqual(t, "left", left, persistence.OutboxPart{Rows: 3, Bytes: bytes})
	trim(0, 0, 2, 2) // all are older
	wantEqual(t, "the newest is left", rowIDs(outboxRows(t, s)), ids[7:])
	trim(0, 0, 10, 1)
	trim(0, 1<<40, 10, 0)

	fillOutbox(t, s, 2)
	trim(time.Hour, 1<<40, 10, 2) // far below what a transaction may remove
}
