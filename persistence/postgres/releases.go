package postgres

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// release ends calls, each named by user, call and token (I6), and keeps the
// finished call. One that is to save a log happens only if the log can be
// saved. A claim is gone once: a second release of it finds nothing (I5). The
// two scalar subqueries are not EXISTS because that may be carried out by
// reading all clients into a hash table. ANY keeps a plan that was made when
// claims was empty (vacuum came by at night) from walking all of claims for every
// release of a batch: six times the work, measured at a thousand callers.
const release = `
WITH gone AS (
    DELETE FROM claims c
    USING unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::uuid[])
        AS b (ord, user_id, call_id, token, reason, disposition, notes, log_user, log_client)
    WHERE c.user_id = b.user_id AND c.call_id = b.call_id AND c.token = b.token
      AND c.user_id = ANY ($2::uuid[]) -- says nothing new, but see the comment
      AND (b.reason <> 'expired' OR c.lease_expires_at <= statement_timestamp())
      AND (b.log_user IS NULL OR (SELECT true FROM accounts a WHERE a.id = b.log_user))
      AND (b.log_client IS NULL OR (SELECT true FROM clients k WHERE k.id = b.log_client))
    RETURNING b.ord, b.reason, b.disposition, b.notes,
              c.user_id, c.client_id, c.call_id, c.token, c.started_at, c.lease_expires_at
), kept AS (
    INSERT INTO calls (id, client_id, user_id, token, reason, disposition, notes, started_at, ended_at)
    SELECT call_id, client_id, user_id, token, reason, disposition, notes,
           started_at, ` + endedAtOfC + `
    FROM gone c
    ON CONFLICT (id) DO NOTHING
)
SELECT c.ord, ` + endedAtOfC + `, ` + callColumnsOfC + `, ` + whoColumns + `
FROM gone c ` + whoLookups

// endedAtOfC is when a call that is being ended has ended. The clock may have
// been set back since it began.
const endedAtOfC = `greatest(c.started_at, statement_timestamp())`

// stillRunning finds the claims that a release was to end by their lease.
const stillRunning = `
SELECT b.ord, ` + callColumnsOfC + `
FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[]) AS b (ord, user_id, call_id, token)
JOIN claims c ON c.user_id = b.user_id AND c.call_id = b.call_id AND c.token = b.token
WHERE c.user_id = ANY ($2::uuid[]) -- see release`

const (
	callColumns    = `user_id, client_id, call_id, token, started_at, lease_expires_at`
	callColumnsOfC = `c.user_id, c.client_id, c.call_id, c.token, c.started_at, c.lease_expires_at`
)

// callTargets are where the columns of a call are scanned to.
func callTargets(c *messages.Call) []any {
	return []any{
		raw(&c.UserID.UUID), raw(&c.ClientID.UUID), raw(&c.ID.UUID), &c.Token, &c.StartedAt, &c.LeaseExpiresAt,
	}
}

func inUTC(c messages.Call) messages.Call {
	c.StartedAt, c.LeaseExpiresAt = c.StartedAt.UTC(), c.LeaseExpiresAt.UTC()
	return c
}

// eachCall reads rows of a write's index and a call.
func eachCall(rows pgx.Rows, f func(i int, c messages.Call)) error {
	var (
		i int32
		c messages.Call
	)
	_, err := pgx.ForEachRow(rows, append([]any{&i}, callTargets(&c)...), func() error {
		f(int(i), inUTC(c))
		return nil
	})
	return err
}

// fences are the arrays that name claims: index of the write, user, call,
// token.
func (b *batch) fences(writes []int) (ords []int32, users, calls uuids, tokens []int64) {
	for _, i := range writes {
		w := &b.writes[i]
		ords, tokens = append(ords, int32(i)), append(tokens, w.Token)
		users, calls = append(users, pgUUID(w.User.UUID)), append(calls, pgUUID(w.Call.UUID))
	}
	return ords, users, calls, tokens
}

func (b *batch) queueReleases(q *pgx.Batch) {
	if len(b.releases) == 0 {
		return
	}
	var (
		reasons, dispositions, notes []string
		logUsers, logClients         uuids
		expiries                     []int
	)
	for _, i := range b.releases {
		w := &b.writes[i]
		reasons = append(reasons, string(w.Reason))
		dispositions, notes = append(dispositions, w.Disposition), append(notes, w.Notes)
		var user, client pgtype.UUID
		if w.Log != nil {
			user, client = pgUUID(w.Log.UserID.UUID), pgUUID(w.Log.ClientID.UUID)
		}
		logUsers, logClients = append(logUsers, user), append(logClients, client)
		if w.Reason == messages.ReasonExpired {
			expiries = append(expiries, i)
		}
	}
	ords, users, calls, tokens := b.fences(b.releases)
	b.queueEnded(q, release, ords, users, calls, tokens, reasons, dispositions, notes, logUsers, logClients)
	if len(expiries) > 0 {
		ords, users, calls, tokens := b.fences(expiries)
		q.Queue(stillRunning, ords, users, calls, tokens).Query(func(rows pgx.Rows) error {
			return eachCall(rows, func(i int, c messages.Call) {
				b.outcomes[i] = messages.Outcome{Kind: messages.OutcomeNotExpired, Call: c}
			})
		})
	}
}

// queueEnded ends calls by a statement that returns what it ended: index of the
// write, end, call, who.
func (b *batch) queueEnded(q *pgx.Batch, sql string, args ...any) {
	q.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		var i int32
		var at time.Time
		var r liveRow
		_, err := pgx.ForEachRow(rows, append([]any{&i, &at}, r.targets()...), func() error {
			b.ended(int(i), r.live(), at)
			return nil
		})
		return err
	})
}

// ended notes the call that a write ended.
func (b *batch) ended(i int, l messages.LiveCall, at time.Time) {
	b.outcomes[i] = messages.Outcome{
		Kind: messages.OutcomeDone, Call: l.Call, Event: persistence.EndedEvent(l, at.UTC(), &b.writes[i]),
	}
}

// settleReleases says what became of the releases that ended nothing, and
// completes the logs of all.
func (b *batch) settleReleases() {
	for _, i := range b.releases {
		w, o := &b.writes[i], &b.outcomes[i]
		check, hasLog := b.checks[i]
		switch {
		case o.Kind == messages.OutcomeDone:
			if hasLog {
				o.Log = b.savedLog(w)
				call := w.Call // the write itself is the caller's
				o.Log.CallID = &call
				persistence.FillLog(o.Log, o.Call, o.Event.At)
			}
		case hasLog && !check.user:
			*o = messages.Outcome{Kind: messages.OutcomeNoUser}
		case hasLog && !check.client:
			*o = messages.Outcome{Kind: messages.OutcomeNoClient}
		case o.Kind == 0:
			o.Kind = messages.OutcomeCallOver
			if hasLog {
				o.Log = b.savedLog(w)
				o.Log.CallID = nil // it ended none
			}
		}
	}
}
