package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// keptFor is how long an idempotency key is remembered.
const keptFor = 24 * time.Hour

// replay looks a key up. The outcome is zero if it is new.
func (x *tx) replay(k messages.Key) (messages.Outcome, error) {
	var digest []byte
	var answer string
	found, err := x.get(`
		select digest, answer from idempotency_keys where caller = ?1 and value = ?2 and created_at > ?3`,
		[]any{k.Caller, k.Value, x.now - keptFor.Microseconds()}, &digest, &answer)
	if err != nil || !found {
		return messages.Outcome{}, err
	}
	if string(digest) != string(k.Digest[:]) {
		return messages.Outcome{Kind: messages.OutcomeKeyReused}, nil
	}
	first := new(messages.Answer)
	if err := json.Unmarshal([]byte(answer), first); err != nil {
		return messages.Outcome{}, err
	}
	return messages.Outcome{Kind: messages.OutcomeReplayed, Replay: first}, nil
}

// record keeps the answer to a command. A key that is there has passed its
// time, and begins anew.
func (x *tx) record(k messages.Key, a messages.Answer) error {
	answer, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = x.exec(`
		insert into idempotency_keys (caller, value, digest, answer, created_at) values (?1, ?2, ?3, ?4, ?5)
		on conflict (caller, value) do update
		set digest = excluded.digest, answer = excluded.answer, created_at = excluded.created_at`,
		k.Caller, k.Value, k.Digest[:], string(answer), x.now)
	return err
}

// Keys implements [persistence.ClaimReader].
func (s *Store) Keys(ctx context.Context, keys []messages.Key) ([]*messages.RecordedKey, error) {
	names := make([][2]string, len(keys))
	for i, k := range keys {
		if err := checkText(k.Caller, k.Value); err != nil {
			return nil, err
		}
		names[i] = [2]string{k.Caller, k.Value}
	}
	found := make([]*messages.RecordedKey, len(keys))
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	err := s.query(ctx, `
		select asked.key, k.digest, k.answer
		from json_each(?1) asked
		join idempotency_keys k on k.caller = asked.value ->> 0 and k.value = asked.value ->> 1
		where k.created_at > ?2`,
		[]any{list(names), s.clock() - keptFor.Microseconds()},
		func(rows *sql.Rows) error {
			var i int
			var digest, answer []byte
			if err := rows.Scan(&i, &digest, &answer); err != nil {
				return err
			}
			found[i] = new(messages.RecordedKey)
			copy(found[i].Digest[:], digest)
			return json.Unmarshal(answer, &found[i].Answer)
		})
	if err != nil {
		return nil, err
	}
	return found, nil
}
