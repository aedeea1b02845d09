package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
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
	o, err := x.carryOutReport(&w)
	if err != nil {
		return o, err
	}
	switch o.Kind {
	case messages.OutcomeNoUser, messages.OutcomeNoClient, messages.OutcomeUserHeld:
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
			err = x.recordCall(w)
		}
		return o, err
	case w.Kind == messages.WriteRelease && w.Token == 0:
		if err := x.findMeant(w); err != nil {
			return messages.Outcome{}, err
		}
	}
	o, err := x.carryOut(*w)
	if err == nil && o.Kind == messages.OutcomeCallOver && w.Kind == messages.WriteRelease {
		err = x.recordCall(w)
	}
	return o, err
}

// findMeant completes a release by the call of its user, if that is the one that is
// meant.
func (x *tx) findMeant(w *messages.Write) error {
	own, found, err := x.held(`c.user_id = ?1`, w.User)
	if err == nil && found && w.Report.Means(own.ID) {
		w.Call, w.Token, w.Client = own.ID, own.Token, own.ClientID
	}
	return err
}

// oldNews reports whether the call that a report is about was reported before, or
// has ended.
func (x *tx) oldNews(r *messages.Report) (old bool, err error) {
	call := r.Call()
	claimed, ok := r.Claimed()
	if !ok {
		claimed = call
	}
	_, err = x.get(`
		select exists (select 1 from reported_calls where call_id = ?1) or exists (select 1 from calls where id in (?1, ?2))`,
		[]any{call, claimed}, &old)
	return old, err
}

// recordCall keeps the call from beginning by a report (again).
func (x *tx) recordCall(w *messages.Write) error {
	_, err := x.exec(`
		insert into reported_calls (call_id, source, occurred_at, at) values (?1, ?2, ?3, ?4) on conflict do nothing`,
		w.Report.Call(), w.Report.SourceKey(), w.Report.OccurredAt.UnixMicro(), x.now)
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
	var earlier bool
	_, err = x.get(`
		select exists (select 1 from reported_calls where call_id = ?1 and source = ?2 and occurred_at < ?3)`,
		[]any{w.Call, w.Report.SourceKey(), w.Report.OccurredAt.UnixMicro()}, &earlier)
	old := false
	if err == nil && earlier {
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
