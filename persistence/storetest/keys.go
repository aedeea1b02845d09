package storetest

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func keyPromises() []promise {
	return []promise{
		{"I8: the replay of every outcome equals its first answer", keyReplays},
		{"I8: the replay of a claim takes no effect, even when all is free again", keyReplayWithoutEffect},
		{"I8: a replayed log and audit are not written twice", keyReplayWritesNothing},
		{"I8: the key of a refused claim is recorded", keyOfRefusal},
		{"I8: a refusal from memory is recorded as it was given", keyOfNoteRefusal},
		{"I8: another digest is refused and changes nothing", keyReused},
		{"I8: a key of another caller is another key", keyOfAnotherCaller},
		{"I8: one key twice in a batch takes effect once", keyTwiceInBatch},
		{"I8: one key twice in a batch, with two digests", keyTwiceInBatchReused},
		{"I8: one key from many goroutines takes effect once", keyConcurrent},
		{"Keys are taken as they are: case, quotes, 255 bytes", keysExact},
	}
}

// wantReplay commits the write again and fails unless it is answered as the
// first time.
func wantReplay(t *testing.T, s persistence.Store, w messages.Write, first messages.Outcome) {
	t.Helper()
	again := commitOne(t, s, w)
	wantKind(t, again, messages.OutcomeReplayed)
	wantAnswer(t, *again.Replay, messages.AnswerOf(w, first))
}

// wantAnswer compares answers as the wire would show them.
func wantAnswer(t *testing.T, got, want messages.Answer) {
	t.Helper()
	gotJSON, err := json.Marshal(got)
	noError(t, err)
	wantJSON, err := json.Marshal(want)
	noError(t, err)
	wantEqual(t, "replay", string(gotJSON), string(wantJSON))
}

func keyReplays(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 3), addClients(t, s, 3)
	call := start(t, s, users[0], clients[0])
	lapsed := startFor(t, s, users[1], clients[1], time.Microsecond)
	waitExpired(t, s, lapsed)
	nobody := messages.Client{ID: newClientID()}
	stale := releaseOf(call)
	stale.Token++
	staleRenewal := renewalOf(call, time.Hour, 0)
	staleRenewal.Token++
	staleWithLog := stale
	staleWithLog.Log = logOf(users[0], clients[0], "typed for an hour")
	withLog := releaseOf(call)
	withLog.Log = logOf(users[0], clients[0], "emoji 🎯 and \"quotes\" <b>&amp;</b>")

	for _, c := range []struct {
		name  string
		write messages.Write
		want  messages.OutcomeKind
	}{
		{"claim Done", claimOf(users[2], clients[2]), messages.OutcomeDone},
		{"claim ClientHeld", claimOf(addUser(t, s), clients[0]), messages.OutcomeClientHeld},
		{"claim UserHeld", claimOf(users[0], clients[2]), messages.OutcomeUserHeld},
		{"claim NoUser", claimOf(messages.User{ID: newUserID()}, addClient(t, s)), messages.OutcomeNoUser},
		{"claim NoClient", claimOf(addUser(t, s), nobody), messages.OutcomeNoClient},
		{"renewal Done", renewalOf(call, 2*time.Hour, time.Minute), messages.OutcomeDone},
		{"renewal CallOver", staleRenewal, messages.OutcomeCallOver},
		{"release CallOver", stale, messages.OutcomeCallOver},
		{"release CallOver with log", staleWithLog, messages.OutcomeCallOver},
		{"expiry NotExpired", expiryOf(call), messages.OutcomeNotExpired},
		{"expiry Done", expiryOf(lapsed), messages.OutcomeDone},
		{"release Done with log", withLog, messages.OutcomeDone},
		{"note Done", noteOf(users[0], logOf(users[0], clients[0], "by the way")), messages.OutcomeDone},
		{"note NoClient", noteOf(users[0], logOf(users[0], nobody, "about nobody")), messages.OutcomeNoClient},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := withKey(c.write, newKey(c.name))
			first := commitOne(t, s, w)
			wantKind(t, first, c.want)
			wantReplay(t, s, w, first)
			wantReplay(t, s, w, first)
		})
	}
}

func keyReplayWithoutEffect(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	w := withKey(claimOf(u, c), newKey("start"))
	first := commitOne(t, s, w)
	wantKind(t, first, messages.OutcomeDone)
	end(t, s, first.Call)
	w.Call = newCallID() // a retry brings an id of its own
	again := commitOne(t, s, w)
	wantKind(t, again, messages.OutcomeReplayed)
	wantAnswer(t, *again.Replay, messages.AnswerOf(w, first))
	wantFree(t, s, u.ID, c.ID)
}

func keyReplayWritesNothing(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	audit := newAudit("call.force_released")
	w := withKey(releaseOf(start(t, s, u, c)), newKey("end"))
	w.Log, w.Audit = logOf(u, c, "once"), &audit
	wantKind(t, commitOne(t, s, w), messages.OutcomeDone)
	w.Log = logOf(u, c, "once") // with a fresh id
	wantKind(t, commitOne(t, s, w), messages.OutcomeReplayed)
	wantEqual(t, "logs", len(allLogs(t, s, c.ID)), 1)
	wantEqual(t, "entries", len(auditOf(t, s, audit.Subject)), 1)
}

func keyOfRefusal(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	call := start(t, s, users[0], c)
	w := withKey(claimOf(users[1], c), newKey("start"))
	first := commitOne(t, s, w)
	wantKind(t, first, messages.OutcomeClientHeld)
	end(t, s, call)
	wantReplay(t, s, w, first) // though the client is free by now
	wantFree(t, s, users[1].ID, c.ID)
}

func keyOfNoteRefusal(t *testing.T, s persistence.Store) {
	users, c := addUsers(t, s, 2), addClient(t, s)
	call := start(t, s, users[0], c)
	for _, refusal := range []messages.Answer{
		{Code: messages.CodeUserOnCall, Call: &call},
		{
			Code:   messages.CodeClientBeingCalled,
			Caller: &messages.Caller{ID: users[0].ID, Name: "José \"the\" Closer", CallStartedAt: call.StartedAt},
		},
		{Code: messages.CodeCallOver},
		{Call: &call},
		{},
	} {
		w := messages.Write{Kind: messages.WriteNote, User: users[1].ID, Key: newKey("start"), Refusal: &refusal}
		first := commitOne(t, s, w)
		wantKind(t, first, messages.OutcomeDone)
		wantAnswer(t, messages.AnswerOf(w, first), refusal)
		wantReplay(t, s, w, first)
		// It is recorded for the command, whichever way it comes next time.
		claim := withKey(claimOf(users[1], addClient(t, s)), w.Key)
		again := commitOne(t, s, claim)
		wantKind(t, again, messages.OutcomeReplayed)
		wantAnswer(t, *again.Replay, refusal)
	}
}

func keyReused(t *testing.T, s persistence.Store) {
	u, clients := addUser(t, s), addClients(t, s, 2)
	w := withKey(claimOf(u, clients[0]), newKey("start 0"))
	first := commitOne(t, s, w)
	end(t, s, first.Call)
	other := *w.Key
	copy(other.Digest[:], "start 1")
	wantKind(t, commitOne(t, s, withKey(claimOf(u, clients[1]), &other)), messages.OutcomeKeyReused)
	wantFree(t, s, u.ID, clients[1].ID)
	wantReplay(t, s, w, first)
}

func keyOfAnotherCaller(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	key := newKey("start")
	other := *key
	other.Caller += "0"
	wantKind(t, commitOne(t, s, withKey(claimOf(users[0], clients[0]), key)), messages.OutcomeDone)
	wantKind(t, commitOne(t, s, withKey(claimOf(users[1], clients[1]), &other)), messages.OutcomeDone)
}

func keyTwiceInBatch(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	key := newKey("start")
	writes := []messages.Write{withKey(claimOf(u, c), key), withKey(claimOf(u, c), key)}
	outcomes := commit(t, s, writes...)
	done, replayed := 0, 1
	if outcomes[0].Kind != messages.OutcomeDone {
		done, replayed = 1, 0
	}
	wantKind(t, outcomes[done], messages.OutcomeDone)
	wantKind(t, outcomes[replayed], messages.OutcomeReplayed)
	wantAnswer(t, *outcomes[replayed].Replay, messages.AnswerOf(writes[done], outcomes[done]))
	wantHeld(t, s, outcomes[done].Call)

	// A release and its retry, with a log each: one log.
	key = newKey("end")
	writes = []messages.Write{
		withKey(releaseOf(outcomes[done].Call), key), withKey(releaseOf(outcomes[done].Call), key),
	}
	writes[0].Log, writes[1].Log = logOf(u, c, "once"), logOf(u, c, "once")
	ends := commit(t, s, writes...)
	if ends[0].Kind == ends[1].Kind {
		t.Fatalf("both are %s, want one Done and one Replayed", outcomeName(ends[0].Kind))
	}
	wantEqual(t, "logs", len(allLogs(t, s, c.ID)), 1)
}

func keyTwiceInBatchReused(t *testing.T, s persistence.Store) {
	users, clients := addUsers(t, s, 2), addClients(t, s, 2)
	key := newKey("start 0")
	other := *key
	copy(other.Digest[:], "start 1")
	outcomes := commit(t, s, withKey(claimOf(users[0], clients[0]), key), withKey(claimOf(users[1], clients[1]), &other))
	kinds := map[messages.OutcomeKind]int{outcomes[0].Kind: 0}
	kinds[outcomes[1].Kind] = 1
	if _, ok := kinds[messages.OutcomeDone]; !ok {
		t.Fatalf("neither is Done: %+v", outcomes)
	}
	reused, ok := kinds[messages.OutcomeKeyReused]
	if !ok {
		t.Fatalf("neither is KeyReused: %+v", outcomes)
	}
	wantFree(t, s, users[reused].ID, clients[reused].ID)
}

func keyConcurrent(t *testing.T, s persistence.Store) {
	const callers = 32
	u, clients := addUser(t, s), addClients(t, s, 4)
	key := newKey("start")
	var (
		wg       sync.WaitGroup
		outcomes [callers]messages.Outcome
		writes   [callers]messages.Write
		errs     [callers]error
	)
	for i := range callers {
		writes[i] = withKey(claimOf(u, clients[i%len(clients)]), key)
		wg.Go(func() {
			var got []messages.Outcome
			if got, errs[i] = s.Commit(t.Context(), writes[i:i+1]); errs[i] == nil {
				outcomes[i] = got[0]
			}
		})
	}
	wg.Wait()
	first := -1
	for i, o := range outcomes {
		noError(t, errs[i])
		if o.Kind == messages.OutcomeDone {
			if first >= 0 {
				t.Fatal("I8: the key took effect twice")
			}
			first = i
		}
	}
	if first < 0 {
		t.Fatalf("none took effect: %+v", outcomes)
	}
	for i, o := range outcomes {
		if i != first {
			wantKind(t, o, messages.OutcomeReplayed)
			wantAnswer(t, *o.Replay, messages.AnswerOf(writes[first], outcomes[first]))
		}
	}
	wantHeld(t, s, outcomes[first].Call)
}

func keysExact(t *testing.T, s persistence.Store) {
	u := addUser(t, s)
	long := make([]byte, 255)
	for i := range long {
		long[i] = byte('a' + i%26)
	}
	caller := newKey("").Caller
	for i, value := range []string{"key", "KEY", "key ", "'; drop table claims; --", `"\%_`, "ключ 🎯", string(long), string(long[:254])} {
		key := &messages.Key{Caller: caller, Value: value, Digest: [32]byte{byte(i)}}
		w := messages.Write{Kind: messages.WriteNote, User: u.ID, Key: key}
		first := commitOne(t, s, w)
		wantKind(t, first, messages.OutcomeDone)
		wantReplay(t, s, w, first)
	}
}
