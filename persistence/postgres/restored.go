package postgres

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
)

// restore adds to the history of each client a call that nobody had, which
// carries the token that the next claim counts on from.
const restore = `
INSERT INTO calls (id, client_id, user_id, token, reason, started_at, ended_at)
SELECT gen_random_uuid(), client_id, '00000000-0000-0000-0000-000000000000', max(token) + $1, 'restored',
       statement_timestamp(), statement_timestamp()
FROM (SELECT id AS client_id, 0 AS token FROM clients
      UNION ALL SELECT client_id, token FROM calls
      UNION ALL SELECT client_id, token FROM claims) t
GROUP BY client_id`

// Restored readies a store that was put back from a backup. What was committed
// after the backup is forgotten, and two things of it must not be: tokens that
// were given out then would be given out again (I6), so those of every client go
// up by raise; and sessions that were ended then would count again, so all end.
func (s *Store) Restored(ctx context.Context, raise int64, audit messages.Audit) error {
	return s.run(ctx, func(ctx context.Context, x *tx) error {
		b := x.batch()
		b.Queue(`LOCK TABLE claims IN SHARE MODE`)
		b.Queue(restore, raise)
		b.Queue(`DELETE FROM sessions`)
		if err := x.send(ctx, stageApply, b, true); err != nil {
			return err
		}
		queueAudit(&x.last, audit)
		return nil
	})
}
