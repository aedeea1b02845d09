package postgres

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// renew moves the ends of leases.
const renew = `
UPDATE claims c SET lease_expires_at = statement_timestamp() + b.lease + b.slack, lease = b.lease
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::interval[], $5::interval[]) AS b (user_id, call_id, token, lease, slack)
WHERE c.user_id = b.user_id AND c.call_id = b.call_id AND c.token = b.token
  AND c.user_id = ANY ($1::uuid[]) -- see release
RETURNING ` + callColumnsOfC

// renewal names the claim that renewals are of.
type renewal struct {
	user, call uuid.UUID
	token      int64
}

func renewalOf(w *messages.Write) renewal { return renewal{w.User.UUID, w.Call.UUID, w.Token} }

// queueRenewals renews each claim once: of several renewals the longest, which
// covers what the others are answered.
func (b *batch) queueRenewals(q *pgx.Batch) {
	if len(b.renewals) == 0 {
		return
	}
	longest := make(map[renewal]int)
	var once []int
	for _, i := range b.renewals {
		w := &b.writes[i]
		j, seen := longest[renewalOf(w)]
		if !seen {
			once = append(once, i)
		}
		if !seen || w.Lease+w.Slack > b.writes[j].Lease+b.writes[j].Slack {
			longest[renewalOf(w)] = i
		}
	}
	_, users, calls, tokens := b.fences(once)
	var leases, slacks []time.Duration
	for _, i := range once {
		w := &b.writes[longest[renewalOf(&b.writes[i])]]
		leases, slacks = append(leases, w.Lease), append(slacks, w.Slack)
	}
	q.Queue(renew, users, calls, tokens, leases, slacks).Query(func(rows pgx.Rows) error {
		renewed := make(map[renewal]messages.Call)
		var c messages.Call
		_, err := pgx.ForEachRow(rows, callTargets(&c), func() error {
			renewed[renewal{c.UserID.UUID, c.ID.UUID, c.Token}] = inUTC(c)
			return nil
		})
		for _, i := range b.renewals {
			if call, ok := renewed[renewalOf(&b.writes[i])]; ok {
				b.done(i, call)
			} else {
				b.outcomes[i] = messages.Outcome{Kind: messages.OutcomeCallOver}
			}
		}
		return err
	})
}
