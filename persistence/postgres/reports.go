package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Reports of telephony services, see messages.Write.Report.
//
// What was reported before is read first and recorded last, together with the
// commit. Two transactions that do so at the same time for the same event, or for
// the start and the end of the same call, meet at a primary key: the later one
// fails, is tried again, and reads what the other recorded. So a batch without
// such a collision pays one round trip more, and no claim takes a lock for it.

// stageReports is where tests break the reading of reports.
const stageReports stage = "reports"

// reports is what a batch knows of its reports.
type reports struct {
	writes []int // those with a report that are to be carried out or were decided
	named  []int // of them: those to be decided by names, see reportnames.go

	events map[uuid.UUID]bool                       // recorded
	calls  map[messages.CallID]persistence.Recorded // recorded
	ended  map[messages.CallID]bool                 // kept in calls
	claims map[messages.UserID]messages.HeldClaim   // of users whose call is to end
	begun  map[messages.CallID]persistence.Recorded // to be recorded, where nothing is
	names  map[messages.CallID]persistence.Recorded // to be recorded, if not older than what is
	adopts map[int]messages.Call                    // by the writes that are carried out for it
	taken  []uuid.UUID                              // to be recorded: events
	who    map[int]messages.LiveCall                // of refused reports
}

// readReports reads what is known of the batch's reports, and decides those for
// which that is enough.
func (b *batch) readReports(ctx context.Context) error {
	r := &b.reports
	events, calls := map[uuid.UUID]bool{}, map[messages.CallID]bool{}
	for i := range b.writes {
		report := b.writes[i].Report
		if report == nil {
			continue
		}
		event, call := report.EventKey(), report.Call()
		if events[event] || calls[call] {
			b.outcomes[i].Kind = messages.OutcomeNotApplied // after the other one is recorded
			continue
		}
		events[event], calls[call] = true, true
		r.writes = append(r.writes, i)
	}
	if len(r.writes) == 0 {
		return nil
	}
	q := b.batch()
	b.queueReportReads(q)
	if err := b.send(ctx, stageReports, q, false); err != nil {
		return err
	}
	b.writes = slices.Clone(b.writes) // tokens are filled in
	for _, i := range r.writes {
		b.decideReport(i)
	}
	return b.decideNamed(ctx)
}

func (b *batch) queueReportReads(q *pgx.Batch) {
	r := &b.reports
	r.events, r.calls = map[uuid.UUID]bool{}, map[messages.CallID]persistence.Recorded{}
	r.ended, r.claims = map[messages.CallID]bool{}, map[messages.UserID]messages.HeldClaim{}
	r.begun, r.names = map[messages.CallID]persistence.Recorded{}, map[messages.CallID]persistence.Recorded{}
	var events, calls, users uuids
	for _, i := range r.writes {
		w := &b.writes[i]
		events = append(events, pgUUID(w.Report.EventKey()))
		calls = append(calls, pgUUID(w.Report.Call().UUID))
		if claimed, ok := w.Report.Claimed(); ok {
			calls = append(calls, pgUUID(claimed.UUID))
		}
		if w.Reason == messages.ReasonSuperseded {
			// Another call than the report is about: as begun by one, and as named by one.
			calls = append(calls, pgUUID(w.Call.UUID), pgUUID(w.Report.NameKey(w.Call).UUID))
		}
		if w.Kind == messages.WriteRelease {
			users = append(users, pgUUID(w.User.UUID))
		}
	}
	var id uuid.UUID
	q.Queue(`SELECT event FROM reported_events WHERE event = ANY ($1)`, events).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{raw(&id)}, func() error { r.events[id] = true; return nil })
		return err
	})
	r.queueRecorded(q, calls)
	q.Queue(`SELECT id FROM calls WHERE id = ANY ($1)`, calls).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{raw(&id)}, func() error { r.ended[messages.CallID{UUID: id}] = true; return nil })
		return err
	})
	if len(users) > 0 {
		q.Queue(heldClaims+`WHERE c.user_id = ANY ($1)`, users).Query(func(rows pgx.Rows) error {
			return eachHeld(rows, func(h messages.HeldClaim) { r.claims[h.UserID] = h })
		})
	}
}

// queueRecorded reads what is recorded under ids.
func (r *reports) queueRecorded(q *pgx.Batch, ids uuids) {
	q.Queue(`SELECT call_id, source, occurred_at FROM reported_calls WHERE call_id = ANY ($1)`, ids).Query(func(rows pgx.Rows) error {
		var id messages.CallID
		var c persistence.Recorded
		_, err := pgx.ForEachRow(rows, []any{raw(&id.UUID), raw(&c.Source), &c.OccurredAt}, func() error {
			r.calls[id] = c
			return nil
		})
		return err
	})
}

// recorded is what is recorded under an id, of those that were read.
func (r *reports) recorded(id messages.CallID) *persistence.Recorded {
	if c, ok := r.calls[id]; ok {
		return &c
	}
	return nil
}

// decideReport gives the outcome of a write that is not to be carried out, or finds
// that names have to decide.
func (b *batch) decideReport(i int) {
	r, w, o := &b.reports, &b.writes[i], &b.outcomes[i]
	switch {
	case r.events[w.Report.EventKey()]:
		*o = messages.Outcome{Kind: messages.OutcomeReplayed, Replay: &messages.Answer{Repeated: true}}
	case w.Adopts:
		r.named = append(r.named, i)
	case w.Kind == messages.WriteClaim, w.Kind == messages.WriteNote && w.Refusal != nil:
		if r.old(w.Report) {
			o.Kind = messages.OutcomeCallOver
		}
	case w.Kind == messages.WriteRelease && w.Reason == messages.ReasonSuperseded:
		r.decideSuperseding(w, o)
	case w.Kind == messages.WriteRelease:
		claim, on := r.claims[w.User]
		switch {
		case on && w.Report.Means(claim.ID):
			w.Call, w.Token, w.Client = claim.ID, claim.Token, claim.ClientID
		case on && r.calls[w.Report.Call()].Source == claim.ID.UUID:
			r.named = append(r.named, i)
		default:
			o.Kind = messages.OutcomeCallOver
		}
	}
}

func (r *reports) decideSuperseding(w *messages.Write, o *messages.Outcome) {
	claim, on := r.claims[w.User]
	if !on || claim.ID != w.Call {
		o.Kind = messages.OutcomeCallOver
		return
	}
	begun, name := r.recorded(w.Call), r.recorded(w.Report.NameKey(w.Call))
	if !persistence.Supersedes(w.Report, claim.Call, begun, name) || r.old(w.Report) {
		*o = messages.Outcome{Kind: messages.OutcomeNotSuperseded, Call: claim.Call}
	}
}

// old reports whether the call that a report is about was reported before, or has
// ended.
func (r *reports) old(report *messages.Report) bool {
	return r.recorded(report.Call()) != nil || r.hasEnded(report)
}

// hasEnded reports whether the call that a report is about has ended, by whichever id.
func (r *reports) hasEnded(report *messages.Report) bool {
	claimed, ok := report.Claimed()
	return r.ended[report.Call()] || ok && r.ended[claimed]
}

// settleReports finds out whom refusals are about, and lists what is to be
// recorded.
func (b *batch) settleReports(ctx context.Context) error {
	r := &b.reports
	var refused []int
	for _, i := range r.writes {
		w, o := &b.writes[i], &b.outcomes[i]
		if !recorded(w, o) {
			continue
		}
		r.taken = append(r.taken, w.Report.EventKey())
		switch {
		case b.made[i]:
			r.begun[w.Report.Call()] = persistence.Recorded{Source: w.Report.SourceKey(), OccurredAt: w.Report.OccurredAt}
		case w.Kind == messages.WriteRelease && o.Kind == messages.OutcomeCallOver && r.recorded(w.Report.Call()) == nil:
			r.begun[w.Report.Call()] = persistence.Recorded{Source: w.Report.OverKey(), OccurredAt: w.Report.OccurredAt}
		case w.Adopts:
			b.settleAdoption(i)
		case o.Kind == messages.OutcomeClientHeld, o.Kind == messages.OutcomeDone && w.Kind == messages.WriteNote && w.Refusal != nil:
			refused = append(refused, i)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	if err := b.readWho(ctx, refused); err != nil {
		return err
	}
	for _, i := range refused {
		b.outcomes[i].Event = persistence.RefusedEvent(r.who[i], b.now, &b.writes[i], messages.AnswerOf(b.writes[i], b.outcomes[i]))
	}
	return nil
}

// recorded reports whether an event has had its effect by this outcome.
func recorded(w *messages.Write, o *messages.Outcome) bool {
	switch o.Kind {
	case messages.OutcomeReplayed, messages.OutcomeNoUser, messages.OutcomeNoClient, messages.OutcomeUserHeld,
		messages.OutcomeNotSuperseded, messages.OutcomeCallGone, messages.OutcomeFoundOver:
		return false
	}
	return w.Reason != messages.ReasonSuperseded // a claim or a note of the same report follows
}

const whoIs = `
SELECT c.ord, ` + whoColumns + `
FROM unnest($1::int[], $2::uuid[], $3::uuid[]) AS c (ord, user_id, client_id) ` + whoLookups

func (b *batch) readWho(ctx context.Context, writes []int) error {
	b.reports.who = map[int]messages.LiveCall{}
	var ords []int32
	var users, clients uuids
	for _, i := range writes {
		w := &b.writes[i]
		ords, users, clients = append(ords, int32(i)), append(users, pgUUID(w.User.UUID)), append(clients, pgUUID(w.Client.UUID))
	}
	q := b.batch()
	q.Queue(whoIs, ords, users, clients).Query(func(rows pgx.Rows) error {
		var i int32
		var r liveRow
		_, err := pgx.ForEachRow(rows, append([]any{&i}, r.whoTargets()...), func() error {
			b.reports.who[int(i)] = r.live()
			return nil
		})
		return err
	})
	return b.send(ctx, stageReports, q, true)
}

const (
	insertReportedEvents = `INSERT INTO reported_events (event, at) SELECT event, statement_timestamp() FROM unnest($1::uuid[]) AS b (event)`
	insertReportedCalls  = `
INSERT INTO reported_calls (call_id, source, occurred_at, at)
SELECT call_id, source, occurred_at, statement_timestamp()
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS b (call_id, source, occurred_at)`
	witnessReport = `
SELECT EXISTS (SELECT FROM reported_events WHERE event = $1 AND xmin = $2::text::xid8::xid)`
)

// queueReports records the reports together with the commit, in one order in all
// transactions.
func (b *batch) queueReports() {
	r := &b.reports
	if len(r.taken) > 0 {
		slices.SortFunc(r.taken, compareUUIDs)
		b.last.Queue(insertReportedEvents, uuidsOf(r.taken, func(id uuid.UUID) uuid.UUID { return id }))
	}
	b.queueRecords(insertReportedCalls, r.begun)
	b.queueRecords(insertReportedCalls+laterName, r.names)
}

func (b *batch) queueRecords(sql string, records map[messages.CallID]persistence.Recorded) {
	if len(records) == 0 {
		return
	}
	ids := make([]uuid.UUID, 0, len(records))
	for id := range records {
		ids = append(ids, id.UUID)
	}
	slices.SortFunc(ids, compareUUIDs)
	var calls, sources uuids
	var times []time.Time
	for _, id := range ids {
		c := records[messages.CallID{UUID: id}]
		calls, sources, times = append(calls, pgUUID(id)), append(sources, pgUUID(c.Source)), append(times, c.OccurredAt)
	}
	b.last.Queue(sql, calls, sources, times)
}

func compareUUIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
