package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
)

func reportUpkeepPromises() []promise {
	return []promise{
		{"PruneReports keeps what is younger, and removes at most limit of each", reportPrune},
		{"A name that is forgotten ends nothing, and may be told again", nameForgotten},
		{"A call that has ended is known when its report is forgotten", reportKnownForEver},
		{"UsersByEmail finds accounts in any case, disabled ones too", reportEmails},
		{"ClientsByPhone tells who has a number, and whom the user is calling", reportPhones},
	}
}

func reportPrune(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 3), addClients(t, s, 3)
	var claims []messages.Write
	for i := range users {
		claims = append(claims, reported(claimOf(users[i], clients[i]), newReport("pbx")))
	}
	commit(t, s, claims...)
	n, err := s.PruneReports(t.Context(), time.Hour, 100)
	noError(t, err)
	wantEqual(t, "rows removed", n, 0)
	wantRepeated(t, s, claims[0])
	removed := 0
	waitFor(t, "all reports to be forgotten", func() bool {
		n, err := s.PruneReports(t.Context(), time.Microsecond, 2)
		noError(t, err)
		if n > 4 {
			t.Fatalf("%d rows removed at once, want at most 2 of each", n)
		}
		removed += n
		return removed == 6
	})
	n, err = s.PruneReports(t.Context(), 0, 100)
	noError(t, err)
	wantEqual(t, "rows removed", n, 0)
}

func reportKnownForEver(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	claim := reported(claimOf(u, c), newReport("pbx"))
	end := reportedEnd(claim, later(claim.Report))
	wantKind(t, commitOne(t, s, claim), messages.OutcomeDone)
	wantKind(t, commitOne(t, s, end), messages.OutcomeDone)
	waitFor(t, "all reports to be forgotten", func() bool {
		n, err := s.PruneReports(t.Context(), time.Microsecond, 100)
		noError(t, err)
		return n > 0
	})
	wantNoEvent(t, commitOne(t, s, claim), messages.OutcomeCallOver)
	wantNoEvent(t, commitOne(t, s, end), messages.OutcomeCallOver)
	wantFree(t, s, u.ID, c.ID)
}

func reportEmails(t *testing.T, s persistence.Store) {
	users := addUsers(t, s, 3)
	noError(t, s.DisableUser(t.Context(), users[1].ID, newAudit("user.disabled")))
	given := []string{users[0].Email, strings.ToUpper(users[1].Email), uuid.NewString() + "@example.com", "'; --", ""}
	got, err := s.UsersByEmail(t.Context(), given)
	noError(t, err)
	wantEqual(t, "users", got, map[string]messages.UserID{given[0]: users[0].ID, given[1]: users[1].ID})
	got, err = s.UsersByEmail(t.Context(), nil)
	noError(t, err)
	wantEqual(t, "users of no address", len(got), 0)
}

func reportPhones(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), make([]messages.Client, 5)
	for i := range clients {
		clients[i] = newClient("Client")
		clients[i].Phone = "+14155550111"
	}
	clients[0].Phone = "+14155550100"
	noError(t, s.AddClients(t.Context(), clients))
	commitOne(t, s, claimOf(users[1], clients[4]))
	got, err := s.ClientsByPhone(t.Context(), []messages.PhoneQuery{
		{User: users[0].ID, Phone: "+14155550100"},
		{User: users[0].ID, Phone: "+14155550111"},
		{User: users[1].ID, Phone: "+14155550111"},
		{User: users[1].ID, Phone: "+14155550100"},
		{User: users[0].ID, Phone: "+14155550199"},
	})
	noError(t, err)
	wantEqual(t, "matches", got, []messages.PhoneMatch{
		{Clients: 1, Client: clients[0].ID},
		{Clients: 2},
		{Clients: 2, Client: clients[4].ID},
		{Clients: 1, Client: clients[0].ID},
		{},
	})
}
