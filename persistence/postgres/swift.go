package postgres

import (
	"encoding/json"
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
// are of the same user. Then it knows which release is of which user.
func (b *batch) canBeSwift() bool {
	b.ofUser = make(map[messages.UserID]int, len(b.releases))
	for _, i := range b.releases {
		w := &b.writes[i]
		if _, twice := b.ofUser[w.User]; twice || w.Reason == messages.ReasonExpired {
			return false
		}
		b.ofUser[w.User] = i
	}
	return true
}

// end takes the calls of users out of claims and keeps them in the history. What
// is said of them is mostly the same: a reason, and no more. So that is one
// parameter, and what is said of others a second one, null if there are none: JSON
// by the id of the call, because a join with arrays is what a stale plan could turn
// round. The outer joins fix the order in which the tables are read.
const (
	end = goneAndKept + `
SELECT c.ended_at, ` + callColumnsOfC + `, ` + whoColumns + `
FROM gone c ` + whoLookups
	// endKnown is end where the writes say who the calls are between.
	endKnown = goneAndKept + `
SELECT ended_at, ` + callColumns + ` FROM gone`

	goneAndKept = `
WITH gone AS (
    DELETE FROM claims WHERE user_id = ANY ($1::uuid[])
    RETURNING ` + callColumns + `, greatest(started_at, statement_timestamp()) AS ended_at
), kept AS (
    INSERT INTO calls (id, client_id, user_id, token, reason, disposition, notes, started_at, ended_at)
    SELECT call_id, client_id, user_id, token,
           CASE WHEN $3::jsonb IS NULL THEN $2 ELSE coalesce($3 -> call_id::text ->> 0, $2) END,
           CASE WHEN $3::jsonb IS NULL THEN '' ELSE coalesce($3 -> call_id::text ->> 1, '') END,
           CASE WHEN $3::jsonb IS NULL THEN '' ELSE coalesce($3 -> call_id::text ->> 2, '') END,
           started_at, ended_at
    FROM gone
)`
)

// said is what the releases of a batch say of their calls, as end takes it. The
// first one's reason is taken to be that of most.
func (b *batch) said() (reason string, others []byte) {
	reason = string(b.writes[b.releases[0]].Reason)
	var rest map[string][3]string
	for _, i := range b.releases {
		w := &b.writes[i]
		if string(w.Reason) == reason && w.Disposition == "" && w.Notes == "" {
			continue
		}
		if rest == nil {
			rest = make(map[string][3]string, len(b.releases))
		}
		rest[w.Call.String()] = [...]string{string(w.Reason), w.Disposition, w.Notes}
	}
	if rest == nil {
		return reason, nil
	}
	others, err := json.Marshal(rest)
	if err != nil {
		panic("texts are always JSON: " + err.Error())
	}
	return reason, others
}

// queueEnds ends calls, whichever their users are on, and holds them to the
// releases when they come back.
func (b *batch) queueEnds(q *pgx.Batch) {
	if len(b.releases) == 0 {
		return
	}
	users := make(uuids, len(b.releases))
	sql, known := endKnown, true
	for n, i := range b.releases {
		w := &b.writes[i]
		users[n] = pgUUID(w.User.UUID)
		if w.Started == nil || w.Started.Call.ID != w.Call {
			sql, known = end, false
		}
	}
	reason, others := b.said()
	q.Queue(sql, users, reason, others).Query(func(rows pgx.Rows) error {
		var at time.Time
		var r liveRow
		targets := append([]any{&at}, r.targets()...)
		if known {
			targets = append([]any{&at}, callTargets(&r.call)...)
		}
		_, err := pgx.ForEachRow(rows, targets, func() error {
			l := r.live()
			i := b.ofUser[l.Call.UserID]
			w := &b.writes[i]
			if w.Call != l.Call.ID || w.Token != l.Call.Token || w.Client != l.Call.ClientID {
				return errSurprise
			}
			if known {
				l.User, l.Client = w.Started.User, w.Started.Client
			}
			b.ended(i, l, at)
			return nil
		})
		return err
	})
}

// begin inserts claims without asking what stands in their way. A user or client
// who does not exist makes it fail. The token counts on from the client's last
// finished call, which may be one that this transaction has just ended.
const begin = newClaims + `
SELECT ` + newColumns + ` FROM new`

const newClaims = `
WITH new AS (
    SELECT c.ord, c.user_id, c.client_id, c.call_id, c.lease,
           greatest(statement_timestamp(), last.ended_at) AS started_at,
           greatest(statement_timestamp(), last.ended_at) + c.lease AS lease_expires_at,
           1 + coalesce(last.token, 0) AS token,
           NOT a.disabled AND k.id IS NOT NULL AS known,
           a.first_name, a.last_name, a.email, a.role, k.name, k.phone, k.email AS client_email
    FROM unnest($1::int[], $2::uuid[], $3::uuid[], $4::uuid[], $5::interval[])
             AS c (ord, user_id, client_id, call_id, lease)` + whoLookups + `
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
	users, clients, calls, leases := b.claimArrays(b.claims)
	ords := make([]int32, len(b.claims))
	for n, i := range b.claims {
		ords[n] = int32(i)
	}
	q.Queue(sql, ords, users, clients, calls, leases).Query(func(rows pgx.Rows) error {
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

// expectAll fails unless everything happened as it was believed to. (A claim that was
// not made has failed its statement.)
func (b *batch) expectAll() error {
	for _, i := range b.releases {
		check, hasLog := b.checks[i]
		if b.outcomes[i].Kind != messages.OutcomeDone || hasLog && (!check.user || !check.client) {
			return errSurprise
		}
	}
	return nil
}
