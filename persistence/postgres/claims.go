package postgres

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/jackc/pgx/v5"
)

// claim inserts the claims that nothing stands in the way of. The unique
// indexes decide (I1, I2), and one that another transaction is taking is waited
// for. The token counts on from the finished calls and from a call that is just
// being ended: that one is still in claims for this statement's snapshot, and
// out of the way by the time the row goes in.
const claim = `
WITH made AS (
    INSERT INTO claims (user_id, client_id, call_id, started_at, lease_expires_at, lease, token)
    SELECT b.user_id, b.client_id, b.call_id, statement_timestamp(), statement_timestamp() + b.lease, b.lease,
           1 + greatest(0, (SELECT max(k.token) FROM calls k WHERE k.client_id = b.client_id),
                           (SELECT h.token FROM claims h WHERE h.client_id = b.client_id))
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::interval[]) AS b (user_id, client_id, call_id, lease)
    WHERE (SELECT NOT a.disabled FROM accounts a WHERE a.id = b.user_id)
      AND (SELECT true FROM clients k WHERE k.id = b.client_id)
    ON CONFLICT DO NOTHING
    RETURNING ` + callColumns + `
)
SELECT ` + callColumnsOfC + `, ` + whoColumns + `
FROM made c ` + whoLookups

// correct makes I6 exact. A whole call of the client can have begun and ended
// between the snapshot that claim saw and the moment its row went in. Since
// then nobody else can have claimed the client, so this later snapshot shows
// every earlier call. The start moves along, so that a client's calls never
// overlap.
const correct = `
UPDATE claims c
SET token = greatest(c.token, k.token + 1),
    started_at = greatest(c.started_at, k.ended_at),
    lease_expires_at = greatest(c.started_at, k.ended_at) + c.lease
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS b (user_id, client_id, call_id),
     LATERAL (SELECT token, ended_at FROM calls WHERE calls.client_id = b.client_id ORDER BY token DESC LIMIT 1) k
WHERE c.user_id = b.user_id AND c.call_id = b.call_id
  AND c.user_id = ANY ($1::uuid[]) -- see release
  AND (c.token <= k.token OR c.started_at < k.ended_at)
RETURNING ` + callColumnsOfC

// claimRounds bounds how often a claim is made again because whoever stood in
// its way had gone when it looked.
const claimRounds = 5

// claimKey names a claim by all that it is of.
type claimKey struct {
	user   messages.UserID
	client messages.ClientID
	call   messages.CallID
}

// claimArrays are the arrays that describe claims: users, clients, calls, leases.
func (b *batch) claimArrays(writes []int) (users, clients, calls uuids, leases []time.Duration) {
	n := len(writes)
	users, clients, calls, leases = make(uuids, n), make(uuids, n), make(uuids, n), make([]time.Duration, n)
	for n, i := range writes {
		w := &b.writes[i]
		users[n], clients[n], calls[n] = pgUUID(w.User.UUID), pgUUID(w.Client.UUID), pgUUID(w.Call.UUID)
		leases[n] = w.Lease
		if w.Lease <= 0 {
			leases[n] = messages.DefaultLease
		}
	}
	return users, clients, calls, leases
}

// indexClaims finds the write of a claim, plus one. The same claim twice is made
// once; the other finds it in progress.
func (b *batch) indexClaims(writes []int) map[claimKey]int {
	index := make(map[claimKey]int, len(writes))
	for _, i := range writes {
		w := &b.writes[i]
		if key := (claimKey{w.User, w.Client, w.Call}); index[key] == 0 {
			index[key] = i + 1
		}
	}
	return index
}

func (b *batch) queueClaims(q *pgx.Batch, writes []int) {
	if len(writes) == 0 {
		return
	}
	users, clients, calls, leases := b.claimArrays(writes)
	index := b.indexClaims(writes)
	q.Queue(claim, users, clients, calls, leases).Query(func(rows pgx.Rows) error {
		var r liveRow
		_, err := pgx.ForEachRow(rows, r.targets(), func() error {
			l := r.live()
			b.begun(index[claimKey{l.Call.UserID, l.Call.ClientID, l.Call.ID}]-1, l)
			return nil
		})
		return err
	})
	b.queueCorrection(q, users, clients, calls, index)
}

// begun notes the claim that a write made.
func (b *batch) begun(i int, l messages.LiveCall) {
	b.made[i] = true
	b.outcomes[i] = messages.Outcome{
		Kind: messages.OutcomeDone, Call: l.Call, Event: persistence.StartedEvent(l),
		Holder: messages.Caller{ID: l.User.ID, Name: l.User.Name(), CallStartedAt: l.Call.StartedAt},
	}
}

func (b *batch) queueCorrection(q *pgx.Batch, users, clients, calls uuids, index map[claimKey]int) {
	q.Queue(correct, users, clients, calls).Query(func(rows pgx.Rows) error {
		var c messages.Call
		_, err := pgx.ForEachRow(rows, callTargets(&c), func() error {
			o := &b.outcomes[index[claimKey{c.UserID, c.ClientID, c.ID}]-1]
			o.Call = inUTC(c)
			o.Holder.CallStartedAt = o.Call.StartedAt
			o.Event.Call, o.Event.At = o.Call, o.Call.StartedAt
			return nil
		})
		return err
	})
}

// settleClaims explains the claims that were not made. One that nothing stands
// in the way of any more is made again.
func (b *batch) settleClaims(ctx context.Context) error {
	for round := 0; ; round++ {
		var open []int
		for _, i := range b.claims {
			if b.outcomes[i].Kind == 0 {
				open = append(open, i)
			}
		}
		switch {
		case len(open) == 0:
			return nil
		case round == claimRounds:
			return errCrowded
		}
		q := b.batch()
		if round > 0 {
			b.queueClaims(q, open)
		}
		why := b.queueExplanation(q, open)
		if err := b.send(ctx, stageExplain, q, b.writesAtTheEnd()); err != nil {
			return err
		}
		for _, i := range open {
			if b.outcomes[i].Kind == 0 {
				b.outcomes[i] = why.of(i, &b.writes[i])
			}
		}
	}
}

// explanation is what may stand in the way of claims.
type explanation struct {
	exist    map[int]presence
	byUser   map[messages.UserID]messages.HeldClaim
	byClient map[messages.ClientID]messages.HeldClaim
}

func (b *batch) queueExplanation(q *pgx.Batch, writes []int) *explanation {
	e := &explanation{
		byUser:   make(map[messages.UserID]messages.HeldClaim),
		byClient: make(map[messages.ClientID]messages.HeldClaim),
	}
	var users, clients uuids
	for _, i := range writes {
		users = append(users, pgUUID(b.writes[i].User.UUID))
		clients = append(clients, pgUUID(b.writes[i].Client.UUID))
	}
	e.exist = queuePresence(q, writes, users, clients)
	remember := func(rows pgx.Rows) error {
		return eachHeld(rows, func(h messages.HeldClaim) {
			e.byUser[h.UserID], e.byClient[h.ClientID] = h, h
		})
	}
	q.Queue(heldClaims+`WHERE c.user_id = ANY ($1)`, users).Query(remember)
	q.Queue(heldClaims+`WHERE c.client_id = ANY ($1)`, clients).Query(remember)
	return e
}

// of says why a claim was not made; the zero Outcome when it does not know.
func (e *explanation) of(i int, w *messages.Write) messages.Outcome {
	switch {
	case !e.exist[i].active:
		return messages.Outcome{Kind: messages.OutcomeNoUser}
	case !e.exist[i].client:
		return messages.Outcome{Kind: messages.OutcomeNoClient}
	}
	if own, ok := e.byUser[w.User]; ok {
		kind := messages.OutcomeUserHeld
		if own.ID == w.Call && own.ClientID == w.Client {
			kind = messages.OutcomeDone // this very claim, made before
		}
		return messages.Outcome{Kind: kind, Call: own.Call, Holder: callerOf(own)}
	}
	if other, ok := e.byClient[w.Client]; ok {
		return messages.Outcome{Kind: messages.OutcomeClientHeld, Call: other.Call, Holder: callerOf(other)}
	}
	return messages.Outcome{}
}

func callerOf(h messages.HeldClaim) messages.Caller {
	return messages.Caller{ID: h.UserID, Name: h.Name, CallStartedAt: h.StartedAt}
}
