package postgres

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5"
)

// A few plain starts and ends, on a server that nobody shares, are written in one
// round trip: the statements write the outbox themselves, and are one implicit
// transaction. There is no second message with the commit whose fate could be
// told by the transaction's id. So when the reply is lost, the store waits until
// the session is over, looks what is there, and writes the rest again.

// fewWrites is how many writes are written at once. In larger batches a second
// round trip costs less than events that the server puts together.
const fewWrites = 8

const stageAtOnce stage = "at once"

// plainAndFew reports whether a batch is nothing but a few plain starts and ends.
func plainAndFew(writes []messages.Write) bool {
	if len(writes) > fewWrites {
		return false
	}
	for i := range writes {
		w := &writes[i]
		plain := w.Kind == messages.WriteClaim || w.Kind == messages.WriteRelease && w.Reason != messages.ReasonExpired
		if !plain || w.Key != nil || w.Report != nil || w.Log != nil || w.Audit != nil {
			return false
		}
	}
	return true
}

// endAtOnce ends calls and keeps them in the history. Its events are rows of over.
const endAtOnce = `
WITH gone AS (
    DELETE FROM claims c
    USING unnest($1::int[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[])
        AS b (ord, user_id, call_id, token, reason, disposition, notes)
    WHERE c.user_id = b.user_id AND c.call_id = b.call_id AND c.token = b.token
      AND c.user_id = ANY ($2::uuid[]) -- see release
    RETURNING b.ord, b.reason, b.disposition, b.notes, ` + callColumnsOfC + `, ` + endedAtOfC + ` AS ended_at
), kept AS (
    INSERT INTO calls (id, client_id, user_id, token, reason, disposition, notes, started_at, ended_at)
    SELECT call_id, client_id, user_id, token, reason, disposition, notes, started_at, ended_at FROM gone
), over AS (
    SELECT c.ord, c.ended_at, ` + callColumnsOfC + `, c.reason, c.disposition,
           a.first_name, a.last_name, a.email, a.role, k.name, k.phone, k.email AS client_email
    FROM gone c ` + whoLookups + `
), told AS (
    INSERT INTO outbox (events) SELECT convert_to(json_agg(over)::text, 'UTF8') FROM over HAVING count(*) > 0
)
SELECT ord, ended_at, ` + callColumns + `, ` + presentWho + ` FROM over`

// beginAtOnce is begin; its events are rows of new. The row of the outbox may get
// its id before the claim has gone in. That puts events in the wrong order only if
// the claim then waits for the end of another call, which it does not where
// batches are written at once ([Store.undisturbed]).
const beginAtOnce = newClaims + `, told AS (
    INSERT INTO outbox (events)
    SELECT convert_to(json_agg(json_build_object(
        'call_id', call_id, 'user_id', user_id, 'client_id', client_id, 'token', token,
        'started_at', started_at, 'lease_expires_at', lease_expires_at,
        'first_name', first_name, 'last_name', last_name, 'email', email, 'role', role,
        'name', name, 'phone', phone, 'client_email', client_email))::text, 'UTF8')
    FROM new
)
SELECT ` + newColumns + ` FROM new`

const presentWho = `coalesce(first_name, ''), coalesce(last_name, ''), coalesce(email, ''), coalesce(role, ''),
       coalesce(name, ''), coalesce(phone, ''), coalesce(client_email, '')`

// writeAtOnce carries out a batch that [plainAndFew] let through.
func (s *Store) writeAtOnce(ctx context.Context, writes []messages.Write) ([]messages.Outcome, error) {
	x := &tx{store: s}
	if err := x.acquire(ctx); err != nil {
		return nil, err
	}
	session := doubt{pid: x.pid, born: x.born()}
	if session.born.IsZero() { // made before this was a server's connection
		x.Rollback()
		return s.writeOnce(ctx, writes, true)
	}
	answered := false
	defer func() {
		if !answered { // a panic
			s.pending.add(session)
			x.abandon(ctx)
		}
	}()
	b := newBatch(x, writes)
	b.sortByKind()
	err := b.sendAtOnce(ctx)
	answered = true
	if err == nil || judge(err) != persistence.VerdictUnsure {
		x.Rollback() // which finds nothing to be undone
	}
	switch {
	case err == nil:
		b.settleReleases()
		return b.outcomes, nil
	case surprised(err):
		s.careful.Store(carefulAfter)
		return s.writeOnce(ctx, writes, false)
	case judge(err) != persistence.VerdictUnsure:
		return s.writeOnce(ctx, writes, false)
	}
	x.abandon(ctx)
	_ = s.broken(err)
	return s.writeAgain(ctx, session, writes, err)
}

func (b *batch) sendAtOnce(ctx context.Context) error {
	q := &pgx.Batch{}
	if n := len(b.releases); n > 0 {
		ords, users, calls, tokens := b.fences(b.releases)
		reasons, dispositions, notes := make([]string, n), make([]string, n), make([]string, n)
		for n, i := range b.releases {
			w := &b.writes[i]
			reasons[n], dispositions[n], notes[n] = string(w.Reason), w.Disposition, w.Notes
		}
		b.queueEnded(q, endAtOnce, ords, users, calls, tokens, reasons, dispositions, notes)
	}
	b.queueBegins(q, beginAtOnce)
	if err := b.fault(stageAtOnce); err != nil {
		return err
	}
	return b.conn.SendBatch(ctx, q).Close()
}

// writeAgain finds out what became of a batch whose reply was lost, because of
// lost, and carries out what did not happen. The callers' patience does not bound
// it: what they asked for may have happened.
func (s *Store) writeAgain(ctx context.Context, session doubt, writes []messages.Write, lost error) ([]messages.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.committer.ResolveWithin)
	defer cancel()
	unknown := &messages.Error{Code: messages.CodeOutcomeUnknown, Cause: lost}
	if err := s.await(ctx, session); err != nil {
		s.pending.add(session)
		s.log.Error("the outcome of a transaction is unknown", "session", session.pid)
		return nil, unknown
	}
	b := newBatch(&tx{store: s}, writes)
	if err := b.find(ctx); err != nil {
		return nil, unknown
	}
	var open []int
	var rest []messages.Write
	for i, o := range b.outcomes {
		if o.Kind == 0 {
			open, rest = append(open, i), append(rest, writes[i])
		}
	}
	if len(open) == 0 {
		return b.outcomes, nil
	}
	outcomes, err := s.writeOnce(ctx, rest, false)
	if err != nil {
		return nil, unknown
	}
	for n, i := range open {
		b.outcomes[i] = outcomes[n]
	}
	return b.outcomes, nil
}

// found and kept are what a claim that was made, and a call that was ended, left
// behind. Of the latter all but the end of its lease.
const (
	found = `
SELECT ` + callColumnsOfC + `, ` + whoColumns + `
FROM claims c ` + whoLookups + `
WHERE c.user_id = ANY ($1) AND c.call_id = ANY ($2)`
	kept = `
SELECT c.ended_at, c.user_id, c.client_id, c.id, c.token, c.started_at, c.ended_at, ` + whoColumns + `
FROM calls c ` + whoLookups + `
WHERE c.id = ANY ($1)`
)

// find gives their outcomes to the writes that have taken effect.
func (b *batch) find(ctx context.Context) error {
	b.sortByKind()
	q := &pgx.Batch{}
	var r liveRow
	if len(b.claims) > 0 {
		users, _, calls, _ := b.claimArrays(b.claims)
		index := b.indexClaims(b.claims)
		q.Queue(found, users, calls).Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, r.targets(), func() error {
				l := r.live()
				if i := index[claimKey{l.Call.UserID, l.Call.ClientID, l.Call.ID}]; i > 0 {
					b.begun(i-1, l)
				}
				return nil
			})
			return err
		})
	}
	if len(b.releases) > 0 {
		_, _, calls, _ := b.fences(b.releases)
		byCall := make(map[messages.CallID]int, len(b.releases))
		for _, i := range b.releases {
			byCall[b.writes[i].Call] = i
		}
		q.Queue(kept, calls).Query(func(rows pgx.Rows) error {
			var at time.Time
			_, err := pgx.ForEachRow(rows, append([]any{&at}, r.targets()...), func() error {
				l := r.live()
				b.ended(byCall[l.Call.ID], l, at)
				return nil
			})
			return err
		})
	}
	return wrap(b.store.broken(b.store.engine.SendBatch(ctx, q).Close()))
}
