package postgres

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/jackc/pgx/v5"
)

// presence is whether a user and a client exist.
type presence struct {
	user   bool // disabled or not
	active bool
	client bool
}

const present = `
SELECT c.ord, a.id IS NOT NULL, coalesce(NOT a.disabled, false), k.id IS NOT NULL
FROM unnest($1::int[], $2::uuid[], $3::uuid[]) AS c (ord, user_id, client_id)` + whoLookups

// queuePresence asks whether users and clients exist, and fills the map that it
// returns when the batch is sent.
func queuePresence(q *pgx.Batch, writes []int, users, clients uuids) map[int]presence {
	found := make(map[int]presence, len(writes))
	ords := make([]int32, len(writes))
	for n, i := range writes {
		ords[n] = int32(i)
	}
	q.Queue(present, ords, users, clients).Query(func(rows pgx.Rows) error {
		var i int32
		var p presence
		_, err := pgx.ForEachRow(rows, []any{&i, &p.user, &p.active, &p.client}, func() error {
			found[int(i)] = p
			return nil
		})
		return err
	})
	return found
}

// queueLogChecks asks for the users and clients of the batch's logs.
func (b *batch) queueLogChecks(q *pgx.Batch) {
	var writes []int
	var users, clients uuids
	for _, kind := range [][]int{b.releases, b.notes} {
		for _, i := range kind {
			if log := b.writes[i].Log; log != nil {
				writes = append(writes, i)
				users, clients = append(users, pgUUID(log.UserID.UUID)), append(clients, pgUUID(log.ClientID.UUID))
			}
		}
	}
	if len(writes) > 0 {
		b.checks = queuePresence(q, writes, users, clients)
	}
}

func (b *batch) settleNotes() {
	for _, i := range b.notes {
		check, hasLog := b.checks[i]
		switch {
		case hasLog && !check.active:
			b.outcomes[i].Kind = messages.OutcomeNoUser
		case hasLog && !check.client:
			b.outcomes[i].Kind = messages.OutcomeNoClient
		default:
			b.outcomes[i].Kind = messages.OutcomeDone
			if hasLog {
				b.outcomes[i].Log = b.savedLog(&b.writes[i])
			}
		}
	}
}

// savedLog is the log of a write as the store keeps it.
func (b *batch) savedLog(w *messages.Write) *messages.CallLog {
	log := *w.Log
	log.CallbackTime = storedPtr(log.CallbackTime)
	log.CallStartedAt, log.CallEndedAt = storedPtr(log.CallStartedAt), storedPtr(log.CallEndedAt)
	log.CreatedAt = b.now
	log.User, log.Client = nil, nil
	return &log
}

// A log that is there already was saved by the same write, made before.
const insertLog = `
INSERT INTO call_logs (id, client_id, user_id, call_id, call_type, call_status, call_duration, notes,
                       callback_requested, callback_time, call_started_at, call_ended_at, created_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::text[],
                     $9::boolean[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[])
ON CONFLICT (id) DO NOTHING`

// queueLogs saves the logs of the batch together with the commit.
func (b *batch) queueLogs() {
	var (
		ids, clients, users, calls uuids
		types, statuses, notes     []string
		durations                  []*int
		callbacks                  []bool
		callbackAt, started, ended []*time.Time
		created                    []time.Time
	)
	for i := range b.outcomes {
		log := b.outcomes[i].Log
		if log == nil {
			continue
		}
		ids, clients = append(ids, pgUUID(log.ID.UUID)), append(clients, pgUUID(log.ClientID.UUID))
		users, calls = append(users, pgUUID(log.UserID.UUID)), append(calls, nullableCall(log.CallID))
		types, statuses = append(types, log.CallType), append(statuses, log.CallStatus)
		notes, durations = append(notes, log.Notes), append(durations, log.CallDuration)
		callbacks, callbackAt = append(callbacks, log.CallbackRequested), append(callbackAt, log.CallbackTime)
		started, ended = append(started, log.CallStartedAt), append(ended, log.CallEndedAt)
		created = append(created, log.CreatedAt)
	}
	if len(ids) > 0 {
		b.last.Queue(insertLog, ids, clients, users, calls, types, statuses, durations, notes,
			callbacks, callbackAt, started, ended, created)
	}
}

const insertAudit = `
INSERT INTO audit (at, by, action, subject, detail)
SELECT statement_timestamp(), by, action, subject, detail::json
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS b (by, action, subject, detail)`

// queueAudit writes the entries of what was done, together with the commit.
func (b *batch) queueAudit() {
	var entries []messages.Audit
	for i := range b.outcomes {
		if a := b.writes[i].Audit; a != nil && b.outcomes[i].Kind == messages.OutcomeDone {
			entries = append(entries, *a)
		}
	}
	queueAudit(&b.last, entries...)
}

func queueAudit(q *pgx.Batch, entries ...messages.Audit) {
	var by, actions, subjects []string
	var details []*string
	for _, a := range entries {
		by, actions = append(by, a.By), append(actions, a.Action)
		subjects, details = append(subjects, a.Subject), append(details, jsonOrNil(a.Detail))
	}
	if len(by) > 0 {
		q.Queue(insertAudit, by, actions, subjects, details)
	}
}
