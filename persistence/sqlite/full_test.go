package sqlite

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

// TestFileFull: when the file cannot grow, writes are unavailable and leave
// nothing, reads go on, and with space comes everything else.
func TestFileFull(t *testing.T) {
	s := newStore(t)
	users, clients := cast(t, s, 1)
	call := start(t, s, users[0], clients[0])
	limitPages(t, s, 1) // as many as there are
	full := fillUp(t, s)
	if got := messages.CodeOf(full); got != messages.CodeUnavailable {
		t.Fatalf("code %q, want %q: %v", got, messages.CodeUnavailable, full)
	}
	if _, ok := heldCalls(t, s)[call.ID]; !ok {
		t.Fatal("the call is gone")
	}
	logs := countLogs(t, s)
	limitPages(t, s, 1<<30)
	if _, err := s.Commit(t.Context(), []messages.Write{bigNote(users[0], clients[0]), releaseOf(call)}); err != nil {
		t.Fatal(err)
	}
	if got := countLogs(t, s); got != logs+1 {
		t.Fatalf("%d logs, want %d", got, logs+1)
	}
	wantSound(t, s)
}

// limitPages opens the writing connection anew with a bound on the file.
func limitPages(t *testing.T, s *Store, pages int) {
	t.Helper()
	dsn := fmt.Sprintf("%s&_pragma=max_page_count(%d)", writerDSN(s.path(t)), pages)
	if err := s.writer.close(); err != nil {
		t.Fatal(err)
	}
	s.writer.dsn = dsn
}

func bigNote(u messages.UserID, c messages.ClientID) messages.Write {
	log := &messages.CallLog{UserID: u, ClientID: c, Notes: strings.Repeat("all that was said ", 2000)}
	log.ID.UUID = claimOf(u, c).Call.UUID
	return messages.Write{Kind: messages.WriteNote, User: u, Client: c, Log: log}
}

// fillUp saves logs until that fails.
func fillUp(t *testing.T, s *Store) error {
	t.Helper()
	users, err := s.ListUsers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clients, _, err := s.ListClients(t.Context(), messages.ClientQuery{Page: 1, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		before := countLogs(t, s)
		_, err := s.Commit(context.Background(), []messages.Write{bigNote(users[0].ID, clients[0].ID)})
		if err != nil {
			if after := countLogs(t, s); after != before {
				t.Fatalf("a log that was not saved is there: %d, before %d", after, before)
			}
			return err
		}
	}
	t.Fatal("the file was never full")
	return nil
}

func countLogs(t *testing.T, s *Store) int {
	t.Helper()
	_, total, err := s.ListLogs(t.Context(), messages.LogQuery{Page: 1, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
