package postgres

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5"
)

// Reports of calls that somebody claimed, see persistence.Recorded. What is known of names
// is read when the claims are locked: else the source could end a call, at another
// node, by a name that is its last one no longer. A batch with no such report does not
// come here.

// lockClaims keeps claims from being ended by others until the transaction is over.
const lockClaims = `SELECT FROM claims WHERE user_id = ANY ($1) ORDER BY user_id FOR UPDATE`

// laterName has the last name of a call take the place of an earlier one.
const laterName = `
ON CONFLICT (call_id) DO UPDATE SET source = excluded.source, occurred_at = excluded.occurred_at, at = excluded.at
WHERE reported_calls.occurred_at <= excluded.occurred_at`

// decideNamed decides about the writes that adopt a call, and the ends that name one.
func (b *batch) decideNamed(ctx context.Context) error {
	r := &b.reports
	if len(r.named) == 0 {
		return nil
	}
	var users, ids uuids
	for _, i := range r.named {
		w := &b.writes[i]
		call := w.Call
		if !w.Adopts {
			call = r.claims[w.User].ID
		}
		users = append(users, pgUUID(w.User.UUID))
		ids = append(ids, pgUUID(w.Report.Call().UUID), pgUUID(call.UUID), pgUUID(w.Report.NameKey(call).UUID))
	}
	q := b.batch()
	q.Queue(lockClaims, users)
	clear(r.claims)
	q.Queue(heldClaims+`WHERE c.user_id = ANY ($1)`, users).Query(func(rows pgx.Rows) error {
		return eachHeld(rows, func(h messages.HeldClaim) { r.claims[h.UserID] = h })
	})
	r.queueRecorded(q, ids)
	if err := b.send(ctx, stageReports, q, true); err != nil {
		return err
	}
	r.adopts = map[int]messages.Call{}
	for _, i := range r.named {
		b.decideByName(i)
	}
	return nil
}

func (b *batch) decideByName(i int) {
	r, w, o := &b.reports, &b.writes[i], &b.outcomes[i]
	f := persistence.ReportFacts{Own: r.recorded(w.Report.Call()), Ended: r.hasEnded(w.Report)}
	claim, on := r.claims[w.User]
	if on {
		f.Call, f.Begun, f.Name = &claim.Call, r.recorded(claim.ID) != nil, r.recorded(w.Report.NameKey(claim.ID))
	}
	if !w.Adopts {
		if persistence.EndsNamed(w, f) {
			w.Call, w.Token, w.Client = claim.ID, claim.Token, claim.ClientID
		} else {
			o.Kind = messages.OutcomeCallOver
		}
		return
	}
	switch persistence.AdoptionOf(w, f) {
	case persistence.AdoptGone:
		o.Kind = messages.OutcomeCallGone
	case persistence.AdoptBegun:
		*o = messages.Outcome{Kind: messages.OutcomeNotSuperseded, Call: claim.Call}
	case persistence.AdoptOldNews:
		o.Kind = messages.OutcomeCallOver
	case persistence.AdoptOver:
		if w.Kind != messages.WriteRelease {
			o.Kind = messages.OutcomeFoundOver
		}
	case persistence.Adopt, persistence.AdoptAgain:
		r.adopts[i] = claim.Call
	}
}

// settleAdoption lists what is to be recorded of a write that adopts a call, and says
// which one it is.
func (b *batch) settleAdoption(i int) {
	r, w, o := &b.reports, &b.writes[i], &b.outcomes[i]
	call, adopted := r.adopts[i]
	if !adopted || o.Kind != messages.OutcomeDone {
		return
	}
	if w.Kind == messages.WriteNote {
		o.Call = call
	}
	own, at := w.Report.Call(), w.Report.OccurredAt
	if r.recorded(own) != nil {
		return
	}
	r.begun[own] = persistence.Recorded{Source: call.ID.UUID, OccurredAt: at}
	key := w.Report.NameKey(call.ID)
	if last, ok := r.names[key]; !ok || !at.Before(last.OccurredAt) {
		r.names[key] = persistence.Recorded{Source: own.UUID, OccurredAt: at}
	}
}
