package sqlite

import (
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
		select digest, answer from idempotency_keys where caller = ?1 and value = ?2 and +created_at > ?3`, // for the plus see takeOut
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
