package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dibs-calls/dibs/messages"
	"github.com/jackc/pgx/v5"
)

// keyName names an idempotency key.
type keyName struct{ caller, value string }

func nameOf(k *messages.Key) keyName { return keyName{k.Caller, k.Value} }

// insertKeys takes the keys that are free: new, or past their 24 hours. A key
// that another transaction is taking makes it wait for that transaction.
const insertKeys = `
INSERT INTO idempotency_keys AS k (caller, key, digest, created_at)
SELECT caller, key, digest, statement_timestamp() FROM unnest($1::text[], $2::text[], $3::bytea[]) AS b (caller, key, digest)
ON CONFLICT (caller, key) DO UPDATE SET digest = excluded.digest, answer = NULL, created_at = excluded.created_at
WHERE k.created_at <= statement_timestamp() - interval '24 hours'
RETURNING caller, key`

const selectKeys = `
SELECT k.caller, k.key, k.digest, k.answer::text
FROM unnest($1::text[], $2::text[]) AS b (caller, key)
JOIN idempotency_keys k ON k.caller = b.caller AND k.key = b.key
WHERE k.caller = ANY ($1) AND k.key = ANY ($2) -- says nothing new; see release
  AND k.answer IS NOT NULL AND k.created_at > statement_timestamp() - interval '24 hours'`

// claimKeys takes the keys of the batch. Writes whose key is recorded get their
// outcome from it, and writes with the key of an earlier write of the batch
// wait for that one's.
func (b *batch) claimKeys(ctx context.Context) error {
	var first map[keyName]int
	for i := range b.writes {
		key := b.writes[i].Key
		if key == nil {
			continue
		}
		if first == nil { // most batches have no keys
			first, b.repeats = make(map[keyName]int), make(map[int]int)
		}
		if earlier, ok := first[nameOf(key)]; ok {
			b.repeats[i] = earlier
			continue
		}
		first[nameOf(key)] = i
	}
	if len(first) == 0 {
		return nil
	}
	order := make([]int, 0, len(first))
	for _, i := range first {
		order = append(order, i)
	}
	slices.SortFunc(order, func(i, j int) int { // one order in all transactions
		x, y := nameOf(b.writes[i].Key), nameOf(b.writes[j].Key)
		return strings.Compare(x.caller+"\x00"+x.value, y.caller+"\x00"+y.value)
	})
	var callers, values []string
	var digests [][]byte
	for _, i := range order {
		n := nameOf(b.writes[i].Key)
		callers, values = append(callers, n.caller), append(values, n.value)
		digests = append(digests, b.writes[i].Key.Digest[:])
	}
	q := b.batch()
	q.Queue(insertKeys, callers, values, digests).Query(func(rows pgx.Rows) error {
		var n keyName
		_, err := pgx.ForEachRow(rows, []any{&n.caller, &n.value}, func() error {
			b.owned = append(b.owned, first[n])
			return nil
		})
		return err
	})
	q.Queue(selectKeys, callers, values).Query(func(rows pgx.Rows) error {
		return eachKey(rows, func(n keyName, r messages.RecordedKey) {
			i := first[n]
			b.outcomes[i] = replayOf(b.writes[i].Key, r)
		})
	})
	if err := b.send(ctx, stageKeys, q, true); err != nil {
		return err
	}
	if len(b.owned)+b.replayed() != len(order) {
		return errCrowded // a key passed its time between the two statements
	}
	return nil
}

func (b *batch) replayed() int {
	n := 0
	for _, o := range b.outcomes {
		if o.Kind != 0 {
			n++
		}
	}
	return n
}

func replayOf(k *messages.Key, r messages.RecordedKey) messages.Outcome {
	if r.Digest != k.Digest {
		return messages.Outcome{Kind: messages.OutcomeKeyReused}
	}
	return messages.Outcome{Kind: messages.OutcomeReplayed, Replay: &r.Answer}
}

func eachKey(rows pgx.Rows, f func(keyName, messages.RecordedKey)) error {
	var (
		n      keyName
		digest []byte
		answer string
	)
	_, err := pgx.ForEachRow(rows, []any{&n.caller, &n.value, &digest, &answer}, func() error {
		var r messages.RecordedKey
		copy(r.Digest[:], digest)
		if err := json.Unmarshal([]byte(answer), &r.Answer); err != nil {
			return fmt.Errorf("the answer recorded with a key: %w", err)
		}
		f(n, r)
		return nil
	})
	return err
}

const updateKeys = `
UPDATE idempotency_keys k SET answer = b.answer::json
FROM unnest($1::text[], $2::text[], $3::text[]) AS b (caller, key, answer)
WHERE k.caller = b.caller AND k.key = b.key
  AND k.caller = ANY ($1) AND k.key = ANY ($2) -- says nothing new; see release`

// queueAnswers records the answers with their keys, and answers the writes that
// repeat a key of the batch.
func (b *batch) queueAnswers() error {
	var callers, values, answers []string
	for _, i := range b.owned {
		answer, err := json.Marshal(messages.AnswerOf(b.writes[i], b.outcomes[i]))
		if err != nil {
			return fmt.Errorf("the answer to record with a key: %w", err)
		}
		n := nameOf(b.writes[i].Key)
		callers, values = append(callers, n.caller), append(values, n.value)
		answers = append(answers, string(answer))
	}
	if len(answers) > 0 {
		b.last.Queue(updateKeys, callers, values, answers)
	}
	for i, earlier := range b.repeats {
		w := b.writes[earlier]
		r := messages.RecordedKey{Digest: w.Key.Digest, Answer: messages.AnswerOf(w, b.outcomes[earlier])}
		// What is recorded under another digest by somebody else decides for
		// both; AnswerOf cannot tell, the outcome can.
		if b.outcomes[earlier].Kind == messages.OutcomeKeyReused {
			b.outcomes[i] = messages.Outcome{Kind: messages.OutcomeKeyReused}
			continue
		}
		b.outcomes[i] = replayOf(b.writes[i].Key, r)
	}
	return nil
}
