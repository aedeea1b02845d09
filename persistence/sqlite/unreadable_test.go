package sqlite

import (
	"database/sql"
	"testing"

	"github.com/dibs-calls/dibs/persistence/storetest"
)

func TestUnreadable(t *testing.T) {
	s := newStore(t)
	storetest.RunUnreadable(t, s, storetest.Outbox{
		Spoil: func(t *testing.T, events []byte) {
			err := s.write(t.Context(), func(x *tx) error {
				_, err := x.exec(`insert into outbox (written_at, events) values (?1, ?2)`, x.now, events)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		},
		Aside: func(t *testing.T) (all []storetest.Aside) {
			err := s.query(t.Context(), `select seq, written_at, events, reason from outbox_unreadable order by seq`, nil, func(rows *sql.Rows) error {
				var a storetest.Aside
				var at int64
				err := rows.Scan(&a.ID, &at, &a.Events, &a.Reason)
				a.WrittenAt = timeOf(at)
				all = append(all, a)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return all
		},
	})
}
