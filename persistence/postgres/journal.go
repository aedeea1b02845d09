package postgres

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/dibs-calls/dibs/messages"
)

// Commit implements [persistence.Journal].
//
// A batch is at most these round trips: the keys (only if writes carry one); the
// reports (likewise, once more if some are of calls that somebody claimed, and if
// some are refused); releases, renewals,
// claims and what is to be known about logs; who stands in the way of refused
// claims (only if some are); then events, logs, audit, answers and
// the commit together.
//
// A text that Postgres cannot hold fails the batch with
// [messages.CodeBadRequest]; one that others were in the way of, again and
// again, fails with [messages.CodeOverloaded] and is not applied.
func (s *Store) Commit(ctx context.Context, writes []messages.Write) ([]messages.Outcome, error) {
	if len(writes) == 0 {
		return nil, nil
	}
	if err := checkTexts(writes); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	outcomes, err := s.write(ctx, writes)
	switch messages.CodeOf(err) {
	case messages.OK:
		return outcomes, nil
	case messages.CodeOutcomeUnknown, messages.CodeUnavailable, messages.CodeOverloaded, messages.CodeBadRequest:
		return nil, err
	}
	// Not applied, for a reason that is no fault of the callers'.
	s.log.Error("a batch was not applied", "writes", len(writes), "error", err)
	return nil, &messages.Error{Code: messages.CodeUnavailable, Cause: err}
}

// write carries a batch out, swiftly if it can be (see swift.go).
func (s *Store) write(ctx context.Context, writes []messages.Write) ([]messages.Outcome, error) {
	defer s.writing.enter()() // before it is asked whether this server is undisturbed
	if s.careful.Add(-1) < 0 {
		s.careful.Store(0) // may undo what another journal has just set: no harm
		if plainAndFew(writes) && s.undisturbed() {
			return s.writeAtOnce(ctx, writes)
		}
		outcomes, err := s.writeOnce(ctx, writes, true)
		if !surprised(err) {
			return outcomes, err
		}
		s.careful.Store(carefulAfter)
	}
	return s.writeOnce(ctx, writes, false)
}

func (s *Store) writeOnce(ctx context.Context, writes []messages.Write, swift bool) ([]messages.Outcome, error) {
	var b *batch
	err := s.run(ctx, func(ctx context.Context, x *tx) error {
		b = newBatch(x, writes)
		b.swift = swift
		return b.apply(ctx)
	})
	if err != nil {
		return nil, err
	}
	return b.outcomes, nil
}

// batch is one attempt at a batch of writes.
type batch struct {
	*tx
	swift    bool // written without asking what may stand in the way
	writes   []messages.Write
	outcomes []messages.Outcome
	owned    []int       // writes whose key this transaction records
	made     []bool      // claims that this transaction made
	repeats  map[int]int // writes with the key of an earlier write of the batch; nil: none

	releases, renewals, claims, notes []int                   // writes to be carried out, by kind
	ofUser                            map[messages.UserID]int // the release of each; see canBeSwift
	checks                            map[int]presence        // nil: no logs
	reports                           reports
}

func newBatch(x *tx, writes []messages.Write) *batch {
	return &batch{
		tx: x, writes: writes,
		outcomes: make([]messages.Outcome, len(writes)),
		made:     make([]bool, len(writes)),
	}
}

func (b *batch) apply(ctx context.Context) error {
	if err := b.claimKeys(ctx); err != nil {
		return err
	}
	if err := b.readReports(ctx); err != nil {
		return err
	}
	b.sortByKind()
	b.swift = b.swift && b.canBeSwift()
	if err := b.applyAll(ctx); err != nil {
		return err
	}
	if b.swift {
		if err := b.expectAll(); err != nil {
			return err
		}
	}
	b.settleReleases()
	if err := b.settleClaims(ctx); err != nil {
		return err
	}
	b.settleNotes()
	if err := b.settleReports(ctx); err != nil {
		return err
	}
	b.queueEvents()
	b.queueLogs()
	b.queueAudit()
	b.testify = b.testimony
	b.queueReports()
	return b.queueAnswers()
}

// sortByKind lists the writes that no recorded key has answered. Within a kind
// they are in the order of the clients: transactions that touch the same rows
// then wait for each other in one direction.
func (b *batch) sortByKind() {
	all := make([]int, 0, len(b.writes)) // of which the lists are parts
	for i := range b.writes {
		if _, repeated := b.repeats[i]; !repeated && b.outcomes[i].Kind == 0 {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(i, j int) int {
		x, y := &b.writes[i], &b.writes[j]
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), bytes.Compare(x.Client.UUID[:], y.Client.UUID[:]))
	})
	of := func(kind messages.WriteKind) []int {
		byKind := func(i int, k messages.WriteKind) int { return cmp.Compare(b.writes[i].Kind, k) }
		from, _ := slices.BinarySearchFunc(all, kind, byKind)
		to, _ := slices.BinarySearchFunc(all, kind+1, byKind)
		return all[from:to:to]
	}
	b.claims, b.releases = of(messages.WriteClaim), of(messages.WriteRelease)
	b.renewals, b.notes = of(messages.WriteRenew), of(messages.WriteNote)
}

func (b *batch) applyAll(ctx context.Context) error {
	q := b.batch()
	if b.swift {
		b.queueEnds(q)
		b.queueRenewals(q)
		b.queueBegins(q, begin)
	} else {
		b.queueReleases(q)
		b.queueRenewals(q)
		b.queueClaims(q, b.claims)
	}
	b.queueLogChecks(q)
	return b.send(ctx, stageApply, q, b.writesAtTheEnd())
}

// writesAtTheEnd reports whether something may be written together with the
// commit.
func (b *batch) writesAtTheEnd() bool {
	for i := range b.writes {
		if w := &b.writes[i]; w.Log != nil || w.Audit != nil || w.Key != nil || w.Report != nil {
			return true
		}
	}
	return false
}

func (b *batch) done(i int, call messages.Call) {
	b.outcomes[i] = messages.Outcome{Kind: messages.OutcomeDone, Call: call}
}

// testimony is a query by which the transaction can be told from another one
// with its id: by a report or a key that it recorded, else by the calls that it began or
// ended, else by the logs that it saved. Renewals leave nothing to be known by.
// The row in the outbox would be simpler, but it is gone once it was published,
// and that can be before the outcome is looked for.
func (b *batch) testimony() witness {
	if len(b.reports.taken) > 0 { // better than a call: others may record one of the same id
		return witness{witnessReport, []any{pgUUID(b.reports.taken[0]), b.xid}}
	}
	if len(b.owned) > 0 {
		n := nameOf(b.writes[b.owned[0]].Key)
		return witness{witnessKey, []any{n.caller, n.value, b.xid}}
	}
	var users, calls, logs uuids
	for i := range b.outcomes {
		w, o := &b.writes[i], &b.outcomes[i]
		if b.made[i] || (o.Kind == messages.OutcomeDone && w.Kind == messages.WriteRelease) {
			users, calls = append(users, pgUUID(w.User.UUID)), append(calls, pgUUID(w.Call.UUID))
		}
		if o.Log != nil {
			logs = append(logs, pgUUID(o.Log.ID.UUID))
		}
	}
	switch {
	case len(calls) > 0:
		return witness{witnessCalls, []any{users, calls}}
	case len(logs) > 0:
		return witness{witnessLogs, []any{logs, b.xid}}
	}
	return witness{}
}

// A key or a log can also have been written by another transaction, for the
// same request made again; xmin is the one that wrote the row.
const (
	witnessKey = `
SELECT EXISTS (SELECT FROM idempotency_keys WHERE caller = $1 AND key = $2 AND xmin = $3::text::xid8::xid)`
	witnessCalls = `
SELECT EXISTS (SELECT FROM calls WHERE id = ANY ($2))
    OR EXISTS (SELECT FROM claims WHERE user_id = ANY ($1) AND call_id = ANY ($2))`
	witnessLogs = `
SELECT EXISTS (SELECT FROM call_logs WHERE id = ANY ($1) AND xmin = $2::text::xid8::xid)`
)
