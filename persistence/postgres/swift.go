package postgres

import (
	"errors"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Two ways to write a batch. The actors hand to the store what they believe will
// succeed, and are nearly always right. So a batch is first written swiftly: as
// if every user and client existed, every client were free, and every call to be
// ended were in progress under the token named. The unique indexes and a look at
// what came back tell whether that was so. If not, the transaction is rolled back
// and the batch is written again carefully (claims.go, releases.go), where each
// write gets an outcome of its own. Per call the swift way takes about half of
// the work: no look-ups whether the claim will go in, no speculative insertion,
// no join that a stale plan could turn round.

// errSurprise: a batch that was written swiftly must be written carefully.
var errSurprise = errors.New("a batch is not what the actors believed")

// carefulAfter is how many batches are written carefully after one that
// surprised: surprises come in flocks, and each costs a transaction.
const carefulAfter = 32

// surprised reports whether a batch was not applied because something stood in
// the way of one of its writes.
func surprised(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, errSurprise) || errors.As(err, &pg) && (pg.Code == uniqueViolation || pg.Code == notNullViolation)
}

// canBeSwift reports whether the batch can be written in the swift way: nothing in
// it depends on a condition that only the store knows, and no two of its releases
// are of the same user.
func (b *batch) canBeSwift() bool {
	users := make(map[messages.UserID]struct{}, len(b.releases))
	for _, i := range b.releases {
		w := &b.writes[i]
		if _, twice := users[w.User]; twice || w.Reason == messages.ReasonExpired {
			return false
		}
		users[w.User] = struct{}{}
	}
	return true
}

// end takes the calls of users out of claims. The outer joins fix the order in
// which the tables are read.
const end = `
WITH gone AS (
    DELETE FROM claims WHERE user_id = ANY ($1::uuid[]) RETURNING ` + callColumns + `
)
SELECT greatest(c.started_at, statement_timestamp()), ` + callColumnsOfC + `, ` + whoColumns + `
FROM gone c ` + whoLookups

// queueEnds ends calls, whichever their users are on, and holds them to the
// releases when they come back.
func (b *batch) queueEnds(q *pgx.Batch) {
	if len(b.releases) == 0 {
		return
	}
	users := make(uuids, len(b.releases))
	byUser := make(map[messages.UserID]int, len(b.releases))
	for n, i := range b.releases {
		users[n] = pgUUID(b.writes[i].User.UUID)
		byUser[b.writes[i].User] = i
	}
	q.Queue(end, users).Query(func(rows pgx.Rows) error {
		var at time.Time
		var r liveRow
		_, err := pgx.ForEachRow(rows, append([]any{&at}, r.targets()...), func() error {
			l := r.live()
			i := byUser[l.Call.UserID]
			if w := &b.writes[i]; w.Call != l.Call.ID || w.Token != l.Call.Token || w.Client != l.Call.ClientID {
				return errSurprise
			}
			b.ended(i, l, at)
			return nil
		})
		return err
	})
}

// begin inserts claims without asking what stands in their way. A user or client
// who does not exist makes it fail. The token counts on from the client's last
// finished call, and from the call of it that this transaction has just ended.
const begin = newClaims + `
SELECT ` + newColumns + ` FROM new`

const newClaims = `
WITH new AS (
    SELECT c.ord, c.user_id, c.client_id, c.call_id, c.lease,
           greatest(statement_timestamp(), last.ended_at) AS started_at,
           greatest(statement_timestamp(), last.ended_at) + c.lease AS lease_expires_at,
           1 + greatest(c.ended, last.token) AS token,
           NOT a.disabled AND k.id IS NOT NULL AS known,
           a.first_name, a.last_name, a.email, a.role, k.name, k.phone, k.email AS client_email
    FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::uuid[], $5::interval[], $6::bigint[])
             AS c (ord, user_id, client_id, call_id, lease, ended)` + whoLookups + `
    LEFT JOIN LATERAL (SELECT token, ended_at FROM calls WHERE calls.client_id = c.client_id ORDER BY token DESC LIMIT 1) last ON true
), made AS (
    INSERT INTO claims (user_id, client_id, call_id, started_at, lease_expires_at, lease, token)
    SELECT CASE WHEN known THEN user_id END, client_id, call_id, started_at, lease_expires_at, lease, token FROM new
)`

const newColumns = `ord, ` + callColumns + `, first_name, last_name, email, role, name, phone, client_email`

// queueBegins makes claims by begin, or by a statement that takes and returns
// the same.
func (b *batch) queueBegins(q *pgx.Batch, sql string) {
	if len(b.claims) == 0 {
		return
	}
	ended := make(map[messages.ClientID]int64, len(b.releases)) // tokens
	for _, i := range b.releases {
		w := &b.writes[i]
		ended[w.Client] = max(ended[w.Client], w.Token)
	}
	users, clients, calls, leases := b.claimArrays(b.claims)
	ords, tokens := make([]int32, len(b.claims)), make([]int64, len(b.claims))
	for n, i := range b.claims {
		ords[n], tokens[n] = int32(i), ended[b.writes[i].Client]
	}
	q.Queue(sql, ords, users, clients, calls, leases, tokens).Query(func(rows pgx.Rows) error {
		var i int32
		var r liveRow
		_, err := pgx.ForEachRow(rows, append([]any{&i}, r.targets()...), func() error {
			b.begun(int(i), r.live())
			return nil
		})
		return err
	})
	if !b.store.undisturbed() {
		b.queueCorrection(q, users, clients, calls, b.indexClaims(b.claims))
	}
}

// expectAll fails unless everything happened as it was believed to. What was
// begun did not see what the same transaction had just ended: where the clock was
// set back between the two, the calls of a client would overlap.
func (b *batch) expectAll() error {
	ended := make(map[messages.ClientID]time.Time, len(b.releases))
	for _, i := range b.releases {
		check, hasLog := b.checks[i]
		if b.outcomes[i].Kind != messages.OutcomeDone || hasLog && (!check.user || !check.client) {
			return errSurprise
		}
		ended[b.outcomes[i].Call.ClientID] = b.outcomes[i].Event.At
	}
	for _, i := range b.claims {
		if call := b.outcomes[i].Call; call.StartedAt.Before(ended[call.ClientID]) {
			return errSurprise
		}
	}
	return nil
}

const keep = `
INSERT INTO calls (id, client_id, user_id, token, reason, disposition, notes, started_at, ended_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                     $8::timestamptz[], $9::timestamptz[])`

// queueKept writes the calls that were ended to the history, together with the
// commit.
func (b *batch) queueKept() {
	n := len(b.releases)
	if n == 0 {
		return
	}
	ids, clients, users, tokens := make(uuids, n), make(uuids, n), make(uuids, n), make([]int64, n)
	reasons, dispositions, notes := make([]string, n), make([]string, n), make([]string, n)
	started, ended := make([]time.Time, n), make([]time.Time, n)
	for n, i := range b.releases {
		w, o := &b.writes[i], &b.outcomes[i]
		ids[n], clients[n], users[n] = pgUUID(o.Call.ID.UUID), pgUUID(o.Call.ClientID.UUID), pgUUID(o.Call.UserID.UUID)
		tokens[n], started[n], ended[n] = o.Call.Token, o.Call.StartedAt, o.Event.At
		reasons[n], dispositions[n], notes[n] = string(w.Reason), w.Disposition, w.Notes
	}
	b.last.Queue(keep, ids, clients, users, tokens, reasons, dispositions, notes, started, ended)
}
