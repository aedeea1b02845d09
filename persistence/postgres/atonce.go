package postgres

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5"
)

// A few plain starts and ends, on a server that nobody shares, are written in one
// round trip: the statements write the outbox themselves, and are one implicit
// transaction. There is no second message with the commit whose fate could be
// told by the transaction's id. So when the reply is lost, the store waits until
// the session is over and writes the batch again, carefully: a claim that was made
// is found, and a call that was ended is over.

// fewWrites is how many writes are written at once. In larger batches a second
// round trip costs less than events that the server puts together.
const fewWrites = 8

const stageAtOnce stage = "at once"

// few reports whether a batch is nothing but a few plain starts and ends.
func few(writes []messages.Write) bool {
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
    RETURNING b.ord, b.reason, b.disposition, b.notes, ` + callColumnsOfC + `, ` + endedAtOfC + ` AS ended_at
), kept AS (
    INSERT INTO calls (id, client_id, user_id, token, reason, disposition, notes, started_at, ended_at)
    SELECT call_id, client_id, user_id, token, reason, disposition, notes, started_at, ended_at FROM gone
), over AS (
    SELECT c.ord, c.ended_at, ` + callColumnsOfC + `, c.reason, c.disposition,
           a.first_name, a.last_name, a.email, a.role, k.name, k.phone, k.email AS client_email
    FROM gone c ` + whoJoins + `
), told AS (
    INSERT INTO outbox (events) SELECT convert_to(json_agg(over)::text, 'UTF8') FROM over HAVING count(*) > 0
)
SELECT ord, ended_at, ` + callColumns + `, ` + presentWho + ` FROM over`

// beginAtOnce is begin; its events are rows of new.
const beginAtOnce = newClaims + `, told AS (
    INSERT INTO outbox (events) SELECT convert_to(json_agg(new)::text, 'UTF8') FROM new
)
SELECT ` + newColumns + ` FROM new`

const presentWho = `coalesce(first_name, ''), coalesce(last_name, ''), coalesce(email, ''), coalesce(role, ''),
       coalesce(name, ''), coalesce(phone, ''), coalesce(client_email, '')`

// writeAtOnce carries out a batch that [few] let through.
func (s *Store) writeAtOnce(ctx context.Context, writes []messages.Write) ([]messages.Outcome, error) {
	x := &tx{store: s}
	if err := x.acquire(ctx); err != nil {
		return nil, err
	}
	b := newBatch(x, writes)
	b.sortByKind()
	err := b.sendAtOnce(ctx)
	switch {
	case err == nil:
		x.Rollback() // there is nothing to be undone
		b.settleReleases()
		return b.outcomes, nil
	case judge(err) != persistence.VerdictUnsure:
		x.Rollback()
		if surprised(err) {
			s.careful.Store(carefulAfter)
		}
		return s.writeOnce(ctx, writes, false)
	}
	_ = s.broken(err)
	return s.writeAgain(ctx, x, writes, err)
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

// writeAgain carries out a batch whose reply was lost, because of lost, once it is
// certain that the first attempt is over. The callers' patience does not bound
// it: what they asked for may have happened.
func (s *Store) writeAgain(ctx context.Context, x *tx, writes []messages.Write, lost error) ([]messages.Outcome, error) {
	first := doubt{pid: x.pid, born: x.born()}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.committer.ResolveWithin)
	defer cancel()
	x.abandon(ctx)
	err := s.await(ctx, first)
	if err == nil {
		var outcomes []messages.Outcome
		if outcomes, err = s.writeOnce(ctx, writes, false); err == nil {
			return outcomes, nil
		}
	} else {
		s.pending.add(first)
		s.log.Error("the outcome of a transaction is unknown", "backend", x.pid)
	}
	return nil, &messages.Error{Code: messages.CodeOutcomeUnknown, Cause: lost}
}
