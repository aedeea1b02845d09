package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
)

// report carries out a write for the report of a telephony service, see
// messages.Write.Report. There is one writer, so what it reads stays true.
func (x *tx) report(w messages.Write) (messages.Outcome, error) {
	var known bool
	if _, err := x.get(`select exists (select 1 from reported_events where event = ?1)`, []any{w.Report.EventKey()}, &known); err != nil {
		return messages.Outcome{}, err
	}
	if known {
		return messages.Outcome{Kind: messages.OutcomeReplayed, Replay: &messages.Answer{Repeated: true}}, nil
	}
	if w.Kind == messages.WriteRelease && w.Reason == messages.ReasonSuperseded {
		return x.supersede(w)
	}
	carryOut := x.carryOutReport
	if w.Adopts {
		carryOut = x.adopt
	}
	o, err := carryOut(&w)
	if err != nil {
		return o, err
	}
	switch o.Kind {
	case messages.OutcomeNoUser, messages.OutcomeNoClient, messages.OutcomeUserHeld,
		messages.OutcomeNotSuperseded, messages.OutcomeCallGone, messages.OutcomeFoundOver:
		return o, nil
	}
	_, err = x.exec(`insert into reported_events (event, at) values (?1, ?2)`, w.Report.EventKey(), x.now)
	if err != nil {
		return o, err
	}
	if refused := o.Kind == messages.OutcomeClientHeld || o.Kind == messages.OutcomeDone && w.Kind == messages.WriteNote && w.Refusal != nil; refused {
		o.Event, err = x.refusedEvent(&w, o)
	}
	return o, err
}

func (x *tx) carryOutReport(w *messages.Write) (messages.Outcome, error) {
	switch {
	case w.Kind == messages.WriteClaim, w.Kind == messages.WriteNote && w.Refusal != nil:
		over, err := x.oldNews(w.Report)
		if err != nil || over {
			return messages.Outcome{Kind: messages.OutcomeCallOver}, err
		}
		o, err := x.carryOut(*w)
		if err == nil && o.Kind == messages.OutcomeDone && w.Kind == messages.WriteClaim {
			err = x.recordCall(w.Report, w.Report.SourceKey())
		}
		return o, err
	case w.Kind == messages.WriteRelease && w.Token == 0:
		if err := x.findMeant(w); err != nil {
			return messages.Outcome{}, err
		}
	}
	o, err := x.carryOut(*w)
	if err == nil && o.Kind == messages.OutcomeCallOver && w.Kind == messages.WriteRelease {
		err = x.recordCall(w.Report, w.Report.OverKey())
	}
	return o, err
}

// adopt carries out a write for a report that is to be about a call which somebody
// claimed.
func (x *tx) adopt(w *messages.Write) (messages.Outcome, error) {
	own, found, err := x.held(`c.user_id = ?1`, w.User)
	if err != nil {
		return messages.Outcome{}, err
	}
	facts, err := x.factsOf(w.Report, own, found)
	if err != nil {
		return messages.Outcome{}, err
	}
	adoption := persistence.AdoptionOf(w, facts)
	switch adoption {
	case persistence.AdoptGone:
		return messages.Outcome{Kind: messages.OutcomeCallGone}, nil
	case persistence.AdoptBegun:
		return messages.Outcome{Kind: messages.OutcomeNotSuperseded, Call: own.Call}, nil
	case persistence.AdoptOldNews:
		return messages.Outcome{Kind: messages.OutcomeCallOver}, nil
	case persistence.AdoptOver:
		if w.Kind != messages.WriteRelease {
			return messages.Outcome{Kind: messages.OutcomeFoundOver}, nil
		}
	case persistence.Adopt, persistence.AdoptAgain:
	}
	o, err := x.carryOut(*w)
	if err != nil || o.Kind != messages.OutcomeDone {
		return o, err
	}
	if w.Kind == messages.WriteNote {
		o.Call = own.Call
	}
	if adoption == persistence.Adopt {
		err = x.recordName(w)
	}
	return o, err
}

// factsOf is what is known of a report and the call that its user is on.
func (x *tx) factsOf(r *messages.Report, on messages.HeldClaim, found bool) (f persistence.ReportFacts, err error) {
	if f.Own, err = x.recorded(r.Call()); err != nil || !found {
		return f, err
	}
	f.Call = &on.Call
	begun, err := x.recorded(on.ID)
	if err != nil {
		return f, err
	}
	f.Begun = begun != nil
	if f.Name, err = x.recorded(r.NameKey(on.ID)); err != nil {
		return f, err
	}
	f.Ended, err = x.hasEnded(r)
	return f, err
}

// recorded is what was reported under an id, see [persistence.Recorded].
func (x *tx) recorded(id messages.CallID) (*persistence.Recorded, error) {
	var source messages.CallID
	var at int64
	found, err := x.get(`select source, occurred_at from reported_calls where call_id = ?1`, []any{id}, &source, &at)
	if err != nil || !found {
		return nil, err
	}
	return &persistence.Recorded{Source: source.UUID, OccurredAt: timeOf(at)}, nil
}

// hasEnded reports whether the call that a report is about has ended, by whichever id.
func (x *tx) hasEnded(r *messages.Report) (ended bool, err error) {
	call := r.Call()
	claimed, ok := r.Claimed()
	if !ok {
		claimed = call
	}
	_, err = x.get(`select exists (select 1 from calls where id in (?1, ?2))`, []any{call, claimed}, &ended)
	return ended, err
}

// recordName keeps the reference as a name of the call that a write adopts.
func (x *tx) recordName(w *messages.Write) error {
	if err := x.recordCall(w.Report, w.Call.UUID); err != nil {
		return err
	}
	_, err := x.exec(`
		insert into reported_calls (call_id, source, occurred_at, at) values (?1, ?2, ?3, ?4)
		on conflict (call_id) do update set source = excluded.source, occurred_at = excluded.occurred_at, at = excluded.at
		where occurred_at <= excluded.occurred_at`,
		w.Report.NameKey(w.Call), w.Report.Call(), w.Report.OccurredAt.UnixMicro(), x.now)
	return err
}

// findMeant completes a release by the call of its user, if that is the one that is
// meant.
func (x *tx) findMeant(w *messages.Write) error {
	own, found, err := x.held(`c.user_id = ?1`, w.User)
	if err != nil || !found {
		return err
	}
	meant := w.Report.Means(own.ID)
	if !meant {
		facts, err := x.factsOf(w.Report, own, found)
		if err != nil {
			return err
		}
		meant = persistence.EndsNamed(w, facts)
	}
	if meant {
		w.Call, w.Token, w.Client = own.ID, own.Token, own.ClientID
	}
	return nil
}

// oldNews reports whether the call that a report is about was reported before, or
// has ended.
func (x *tx) oldNews(r *messages.Report) (old bool, err error) {
	before, err := x.recorded(r.Call())
	if err != nil || before != nil {
		return true, err
	}
	return x.hasEnded(r)
}

// recordCall keeps the call of a report from beginning by one (again), see
// [persistence.Recorded].
func (x *tx) recordCall(r *messages.Report, source uuid.UUID) error {
	_, err := x.exec(`
		insert into reported_calls (call_id, source, occurred_at, at) values (?1, ?2, ?3, ?4) on conflict do nothing`,
		r.Call(), source, r.OccurredAt.UnixMicro(), x.now)
	return err
}

// supersede ends a call that the same source reported to have begun earlier.
func (x *tx) supersede(w messages.Write) (messages.Outcome, error) {
	own, found, err := x.held(`c.user_id = ?1`, w.User)
	if err != nil {
		return messages.Outcome{}, err
	}
	if !found || own.ID != w.Call {
		return messages.Outcome{Kind: messages.OutcomeCallOver}, nil
	}
	begun, err := x.recorded(w.Call)
	var name *persistence.Recorded
	if err == nil && begun == nil {
		name, err = x.recorded(w.Report.NameKey(w.Call))
	}
	earlier, old := err == nil && persistence.Supersedes(w.Report, own.Call, begun, name), false
	if earlier {
		old, err = x.oldNews(w.Report)
	}
	if err != nil || !earlier || old {
		return messages.Outcome{Kind: messages.OutcomeNotSuperseded, Call: own.Call}, err
	}
	return x.carryOut(w)
}

func (x *tx) refusedEvent(w *messages.Write, o messages.Outcome) (*messages.Event, error) {
	var l messages.LiveCall
	_, err := x.get(`
		select `+who+` from (select 1) left join accounts a on a.id = ?1 left join clients k on k.id = ?2`,
		[]any{w.User, w.Client}, whoTargets(&l)...)
	return persistence.RefusedEvent(l, timeOf(x.now), w, messages.AnswerOf(*w, o)), err
}

// UsersByEmail implements [persistence.Reports].
func (s *Store) UsersByEmail(ctx context.Context, emails []string) (map[string]messages.UserID, error) {
	found := make(map[string]messages.UserID, len(emails))
	err := s.query(ctx, `
		select b.value, a.id from json_each(?1) b join accounts a on a.email = b.value`,
		[]any{list(emails)}, func(rows *sql.Rows) error {
			var email string
			var id messages.UserID
			err := rows.Scan(&email, &id)
			found[email] = id
			return err
		})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// ClientsByPhone implements [persistence.Reports].
func (s *Store) ClientsByPhone(ctx context.Context, queries []messages.PhoneQuery) ([]messages.PhoneMatch, error) {
	matches := make([]messages.PhoneMatch, len(queries))
	for i, q := range queries {
		var one, called *messages.ClientID
		m := &matches[i]
		_, err := s.row(ctx, `
			select count(*), min(id), (
				select c.client_id from claims c join clients k on k.id = c.client_id where c.user_id = ?1 and k.phone = ?2)
			from (select id from clients where phone = ?2 limit 2)`, []any{q.User, q.Phone}, &m.Clients, &one, &called)
		switch {
		case err != nil:
			return nil, err
		case called != nil:
			m.Client = *called
		case m.Clients == 1:
			m.Client = *one
		}
	}
	return matches, nil
}

// PruneReports implements [persistence.Reports].
func (s *Store) PruneReports(ctx context.Context, age time.Duration, limit int) (int, error) {
	var events, calls int64
	err := s.write(ctx, func(x *tx) (err error) {
		old := x.now - age.Microseconds()
		events, err = x.exec(`
			delete from reported_events where event in (
				select event from reported_events where at <= ?1 order by at limit ?2)`, old, limit)
		if err != nil {
			return err
		}
		calls, err = x.exec(`
			delete from reported_calls where call_id in (
				select call_id from reported_calls where at <= ?1 order by at limit ?2)`, old, limit)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(events + calls), nil
}
