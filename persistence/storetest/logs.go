package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func logPromises() []promise {
	return []promise{
		{"Logs are listed newest first, in pages", logPages},
		{"Each filter narrows", logFilters},
		{"A log comes with its user and client", logPeople},
		{"The client of a log is nil once deleted", logDeletedClient},
		{"Logs saved in one batch are all listed", logBatch},
		{"Logs for which there is no room are not read", logRoom},
	}
}

func logPages(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	for i := range 5 {
		wantKind(t, commitOne(t, s, noteOf(u, logOf(u, c, fmt.Sprint(i)))), messages.OutcomeDone)
	}
	for page, want := range map[int][]string{1: {"4", "3"}, 2: {"2", "1"}, 3: {"0"}, 4: nil, 1 << 40: nil} {
		logs, total, err := s.ListLogs(t.Context(), messages.LogQuery{Page: page, Limit: 2})
		noError(t, err)
		wantEqual(t, "count", total, 5)
		var got []string
		for _, l := range logs {
			got = append(got, l.Notes)
		}
		wantEqual(t, fmt.Sprintf("page %d", page), got, want)
	}
}

func logFilters(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	for i := range 8 {
		log := logOf(users[i&1], clients[i>>1&1], fmt.Sprint(i))
		if i >= 4 {
			log.CallStatus = "busy"
		}
		wantKind(t, commitOne(t, s, noteOf(users[i&1], log)), messages.OutcomeDone)
	}
	for _, c := range []struct {
		query messages.LogQuery
		want  int
	}{
		{messages.LogQuery{}, 8},
		{messages.LogQuery{UserID: users[0].ID}, 4},
		{messages.LogQuery{ClientID: clients[1].ID}, 4},
		{messages.LogQuery{Status: "busy"}, 4},
		{messages.LogQuery{UserID: users[1].ID, ClientID: clients[0].ID}, 2},
		{messages.LogQuery{UserID: users[1].ID, ClientID: clients[0].ID, Status: "completed"}, 1},
		{messages.LogQuery{UserID: newUserID()}, 0},
		{messages.LogQuery{Status: "b%"}, 0},
	} {
		c.query.Page, c.query.Limit = 1, 100
		logs, total, err := s.ListLogs(t.Context(), c.query)
		noError(t, err)
		wantEqual(t, fmt.Sprintf("count of %+v", c.query), total, c.want)
		wantEqual(t, "rows", len(logs), c.want)
	}
}

func logPeople(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	wantKind(t, commitOne(t, s, noteOf(u, logOf(u, c, ""))), messages.OutcomeDone)
	log := allLogs(t, s, c.ID)[0]
	if log.User == nil || log.Client == nil {
		t.Fatalf("user or client is missing: %+v", log)
	}
	wantEqual(t, "user", *log.User, messages.UserSummary{ID: u.ID, FirstName: u.FirstName, LastName: u.LastName, Email: u.Email})
	wantEqual(t, "client", *log.Client, messages.ClientSummary{ID: c.ID, Name: c.Name, Phone: c.Phone, Email: c.Email})
}

func logDeletedClient(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	w := releaseOf(start(t, s, u, c))
	w.Log = logOf(u, c, "do not call again")
	wantKind(t, commitOne(t, s, w), messages.OutcomeDone)
	noError(t, s.DeleteClient(t.Context(), c.ID, newAudit("client.deleted")))
	noError(t, s.DisableUser(t.Context(), u.ID, newAudit("user.disabled")))
	logs := allLogs(t, s, c.ID)
	if len(logs) != 1 {
		t.Fatalf("%d logs, want 1", len(logs))
	}
	if logs[0].Client != nil || logs[0].User == nil || logs[0].ClientID != c.ID || logs[0].CallID == nil {
		t.Fatalf("log: %+v", logs[0])
	}
}

func logBatch(t *testing.T, s persistence.Store) {
	const n = 100
	u, c := addUser(t, s), addClient(t, s)
	writes := make([]messages.Write, n)
	for i := range writes {
		writes[i] = noteOf(u, logOf(u, c, fmt.Sprint(i)))
	}
	commit(t, s, writes...)
	seen := map[messages.LogID]bool{}
	for page := 1; page <= 10; page++ {
		logs, _, err := s.ListLogs(t.Context(), messages.LogQuery{Page: page, Limit: 10})
		noError(t, err)
		for _, l := range logs {
			seen[l.ID] = true
		}
	}
	wantEqual(t, "logs on the pages", len(seen), n)
}

func logRoom(t *testing.T, s persistence.Store) {
	const n, notes = 10, 10_000
	u, c := addUser(t, s), addClient(t, s)
	for range n {
		wantKind(t, commitOne(t, s, noteOf(u, logOf(u, c, strings.Repeat("n", notes)))), messages.OutcomeDone)
	}
	asked := 0
	query := messages.LogQuery{Page: 1, Limit: n, Room: roomFor(5*notes, &asked)}
	if _, _, err := s.ListLogs(t.Context(), query); !errors.Is(err, errNoRoom) || asked > 7*notes {
		t.Errorf("%v after %d bytes", err, asked)
	}
	asked = 0
	query.Room = roomFor(2*n*notes, &asked)
	logs, _, err := s.ListLogs(t.Context(), query)
	noError(t, err)
	wantEqual(t, "rows", len(logs), n)
	if asked < n*notes {
		t.Errorf("asked for %d bytes", asked)
	}
}
