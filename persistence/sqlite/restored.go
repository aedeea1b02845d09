package sqlite

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
)

// Restored readies a store that was put back from a backup; see the method of
// the same name in package postgres.
func (s *Store) Restored(ctx context.Context, raise int64, audit messages.Audit) error {
	return s.write(ctx, func(x *tx) error {
		if _, err := x.exec(`
			insert into calls (id, client_id, user_id, token, started_at, ended_at, reason, disposition, notes)
			select lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8'
					|| substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
				client_id, '00000000-0000-0000-0000-000000000000', max(token) + ?1, ?2, ?2, 'restored', '', ''
			from (select id as client_id, 0 as token from clients
				union all select client_id, token from calls
				union all select client_id, token from claims)
			group by client_id`, raise, x.now); err != nil {
			return err
		}
		if _, err := x.exec(`delete from sessions`); err != nil {
			return err
		}
		return x.audit(&audit)
	})
}
