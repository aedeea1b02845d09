package postgres_test

import (
	"testing"

	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/storetest"
	"github.com/jackc/pgx/v5"
)

func TestUnreadable(t *testing.T) {
	url := pgtest.URL(t)
	s := open(t, url)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	storetest.RunUnreadable(t, s, storetest.Outbox{
		Spoil: func(t *testing.T, events []byte) {
			if _, err := conn.Exec(t.Context(), `INSERT INTO outbox (events) VALUES ($1)`, events); err != nil {
				t.Fatal(err)
			}
		},
		Aside: func(t *testing.T) []storetest.Aside {
			rows, err := conn.Query(t.Context(), `SELECT id, written_at, events, reason FROM outbox_unreadable ORDER BY id`)
			if err != nil {
				t.Fatal(err)
			}
			all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[storetest.Aside])
			if err != nil {
				t.Fatal(err)
			}
			return all
		},
	})
}
