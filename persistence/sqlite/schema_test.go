package sqlite

import (
	"database/sql"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// TestUsersAsTheSpecReadsThem: the three columns of the spec are on users, and
// are true as soon as a call is.
func TestUsersAsTheSpecReadsThem(t *testing.T) {
	s := newStore(t)
	users, clients := cast(t, s, 1)
	var onCall bool
	var client *messages.ClientID
	var began *string
	read := func() {
		t.Helper()
		found, err := s.row(t.Context(),
			`select is_on_call, current_call_client_id, call_started_at from users where id = ?1`,
			[]any{users[0]}, &onCall, &client, &began)
		if err != nil || !found {
			t.Fatalf("found %t (%v)", found, err)
		}
	}
	read()
	if onCall || client != nil || began != nil {
		t.Fatalf("idle: %t %v %v", onCall, client, began)
	}
	call := start(t, s, users[0], clients[0])
	read()
	if !onCall || client == nil || *client != clients[0] || began == nil {
		t.Fatalf("on call: %t %v %v", onCall, client, began)
	}
	if at, err := time.Parse(time.RFC3339Nano, *began); err != nil || !at.Equal(call.StartedAt) {
		t.Fatalf("began at %s (%v), want %s", *began, err, call.StartedAt)
	}
	err := s.write(t.Context(), func(x *tx) error {
		_, err := x.exec(`update users set first_name = 'New' where id = ?1`, users[0])
		return err
	})
	if a, _ := s.UserByID(t.Context(), users[0]); err != nil || a.FirstName != "New" {
		t.Fatalf("updated to %+v (%v)", a, err)
	}
}

// TestPointLookUpsUseIndexes: none of what a call or a page of the list asks
// for reads a whole table.
func TestPointLookUpsUseIndexes(t *testing.T) {
	s := newStore(t)
	for _, query := range []string{
		selectClaims + `c.user_id in (select value from json_each(?1))`,
		selectClaims + `c.client_id in (select value from json_each(?1))`,
		selectClaims + `c.lease_expires_at <= ?1 order by c.lease_expires_at limit ?2`,
		selectClaims + `c.started_at < ?1 order by c.started_at limit ?2`,
		selectLive + `where c.user_id = ?1 and c.call_id = ?2 and c.token = ?3 and c.lease_expires_at <= ?4`,
		pageOf(&filter{condition: "true"}, 1, 1),
		clientsOnPage,
		selectClients + `where id > ?1 order by id limit ?2`,
		`select distinct phone from clients where phone in (select value from json_each(?1))`,
		`select max(token) from calls where client_id = ?1`,
		selectLogs + `?1 is null and l.client_id = ?2 and ?3 is null order by l.seq desc limit ?4 offset ?5`,
		selectLogs + `?1 is null and ?2 is null and l.user_id = ?3 order by l.seq desc limit ?4 offset ?5`,
	} {
		err := s.query(t.Context(), "explain query plan "+query, make([]any, 5), func(rows *sql.Rows) error {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				return err
			}
			if isScan(step) || step == "USE TEMP B-TREE FOR ORDER BY" {
				t.Errorf("%s\n%s", step, query)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%v\n%s", err, query)
		}
	}
}

func isScan(step string) bool {
	switch step {
	case "SCAN c", "SCAN a", "SCAN k", "SCAN clients", "SCAN calls", "SCAN l":
		return true
	}
	return false
}
