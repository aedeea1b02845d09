package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func retentionPromises() []promise {
	return []promise{
		{"PruneHistory keeps what is younger", retainKeepsYounger},
		{"I6: PruneHistory keeps the newest call of a client, and tokens go on", retainKeepsTokens},
		{"I6: a call in progress is not touched, and its token is above those before", retainDuringCall},
		{"PruneHistory empties what was said about the calls that stay", retainSilences},
		{"PruneHistory removes logs", retainLogs},
		{"PruneHistory keeps a log until the time to call back has aged as well", retainCallbacks},
		{"PruneHistory removes at most limit at once, and says whether it is through", retainLimit},
		{"PruneHistory beside claims and releases", retainBesideCalls},
	}
}

// older is an age that everything has which was there before.
const older = time.Microsecond

// pruneAll calls PruneHistory until the history holds nothing more to forget.
func pruneAll(t *testing.T, s persistence.Store, limit int) (sum persistence.Pruned) {
	t.Helper()
	for idle := 0; idle < 3; { // a walk that began before the last call had aged does not count
		f, err := s.PruneHistory(t.Context(), older, limit)
		noError(t, err)
		if f.Calls+f.Silenced > limit || f.Logs > limit {
			t.Fatalf("%+v at once, want at most %d", f, limit)
		}
		sum.Calls, sum.Silenced, sum.Logs = sum.Calls+f.Calls, sum.Silenced+f.Silenced, sum.Logs+f.Logs
		if f.Calls+f.Silenced+f.Logs == 0 && !f.More {
			idle++
		} else {
			idle = 0
		}
	}
	return sum
}

// callOnce is a call that has ended.
func callOnce(t *testing.T, s persistence.Store, u messages.User, c messages.Client) messages.Call {
	t.Helper()
	call := start(t, s, u, c)
	end(t, s, call)
	return call
}

// remembered are those of the calls that the store still knows to have ended.
func remembered(t *testing.T, s persistence.Store, calls ...messages.Call) map[messages.CallID]bool {
	t.Helper()
	var ids []messages.CallID
	for _, c := range calls {
		ids = append(ids, c.ID)
	}
	ended, err := s.EndedCalls(t.Context(), ids)
	noError(t, err)
	known := map[messages.CallID]bool{}
	for _, c := range ended {
		known[c.ID] = true
	}
	return known
}

func retainKeepsYounger(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	calls := []messages.Call{callOnce(t, s, u, c), callOnce(t, s, u, c), callOnce(t, s, u, c)}
	wantKind(t, commitOne(t, s, noteOf(u, logOf(u, c, "kept"))), messages.OutcomeDone)
	for range 3 {
		f, err := s.PruneHistory(t.Context(), time.Hour, 100)
		noError(t, err)
		wantEqual(t, "removed", f, persistence.Pruned{})
	}
	wantEqual(t, "calls that are known", len(remembered(t, s, calls...)), 3)
	wantEqual(t, "logs", len(allLogs(t, s, c.ID)), 1)
}

func retainKeepsTokens(t *testing.T, s persistence.Store) {
	u, clients := addUser(t, s), addClients(t, s, 3)
	var last []messages.Call
	for i, c := range clients {
		for range i + 1 {
			last = append(last[:min(i, len(last))], callOnce(t, s, u, c))
		}
	}
	f := pruneAll(t, s, 100)
	wantEqual(t, "calls removed", f.Calls, 0+1+2)
	wantEqual(t, "newest calls that are known", len(remembered(t, s, last...)), 3)
	for i, c := range clients {
		next := start(t, s, u, c)
		wantEqual(t, "the next token", next.Token, last[i].Token+1)
		end(t, s, next)
	}
}

func retainDuringCall(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	before := []messages.Call{callOnce(t, s, u, c), callOnce(t, s, u, c)}
	now := start(t, s, u, c)
	wantEqual(t, "calls removed", pruneAll(t, s, 100).Calls, 1)
	wantHeld(t, s, now)
	if !remembered(t, s, before...)[before[1].ID] {
		t.Error("the call before the one in progress is forgotten: were that one taken out of the store, its token would be given again")
	}
	end(t, s, now)
	wantEqual(t, "calls removed", pruneAll(t, s, 100).Calls, 1)
	wantEqual(t, "the next token", start(t, s, u, c).Token, now.Token+1)
}

func retainSilences(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	for range 2 {
		w := releaseOf(start(t, s, u, c))
		w.Disposition, w.Notes = "sale", "said that they move house"
		wantKind(t, commitOne(t, s, w), messages.OutcomeDone)
	}
	f := pruneAll(t, s, 100)
	wantEqual(t, "removed", f.Calls, 1)
	wantEqual(t, "emptied", f.Silenced, 1)
	f = pruneAll(t, s, 100)
	wantEqual(t, "emptied again", f.Silenced, 0)
}

func retainLogs(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	w := releaseOf(start(t, s, u, c))
	w.Log = logOf(u, c, "of a call")
	wantKind(t, commitOne(t, s, w), messages.OutcomeDone)
	for range 3 {
		wantKind(t, commitOne(t, s, noteOf(u, logOf(u, c, "of none"))), messages.OutcomeDone)
	}
	wantEqual(t, "logs removed", pruneAll(t, s, 100).Logs, 4)
	wantEqual(t, "logs left", len(allLogs(t, s, c.ID)), 0)
}

func retainCallbacks(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	for _, in := range []time.Duration{-time.Hour, time.Hour} {
		log, at := logOf(u, c, "call back"), time.Now().Add(in)
		log.CallbackRequested, log.CallbackTime = true, &at
		wantKind(t, commitOne(t, s, noteOf(u, log)), messages.OutcomeDone)
	}
	wantEqual(t, "logs removed", pruneAll(t, s, 100).Logs, 1)
	wantEqual(t, "logs left", len(allLogs(t, s, c.ID)), 1)
}

func retainLimit(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	var calls []messages.Call
	for range 10 {
		calls = append(calls, callOnce(t, s, u, c))
		wantKind(t, commitOne(t, s, noteOf(u, logOf(u, c, "note"))), messages.OutcomeDone)
	}
	f, err := s.PruneHistory(t.Context(), older, 2)
	noError(t, err)
	if !f.More {
		t.Errorf("%+v is not all of ten calls and ten logs", f)
	}
	rest := pruneAll(t, s, 2)
	wantEqual(t, "calls removed", f.Calls+rest.Calls, 9)
	wantEqual(t, "logs removed", f.Logs+rest.Logs, 10)
	wantEqual(t, "calls that are known", remembered(t, s, calls...), map[messages.CallID]bool{calls[9].ID: true})
}

func retainBesideCalls(t *testing.T, s persistence.Store) {
	const callers, rounds = 4, 25
	users, clients := addUsers(t, s, callers), addClients(t, s, callers)
	done := make(chan struct{})
	go func() {
		defer close(done)
		atOnce(callers, func(i int) {
			var token int64
			for range rounds {
				got, err := s.Commit(t.Context(), []messages.Write{claimOf(users[i], clients[i])})
				if err != nil || got[0].Kind != messages.OutcomeDone || got[0].Call.Token != token+1 {
					t.Errorf("a claim after token %d: %+v, %v", token, got, err)
					return
				}
				token = got[0].Call.Token
				if got, err = s.Commit(t.Context(), []messages.Write{releaseOf(got[0].Call)}); err != nil || got[0].Kind != messages.OutcomeDone {
					t.Errorf("a release: %+v, %v", got, err)
					return
				}
			}
		})
	}()
	removed := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		f, err := s.PruneHistory(t.Context(), older, 10)
		noError(t, err)
		removed += f.Calls
	}
	wantEqual(t, "calls removed", removed+pruneAll(t, s, 10).Calls, callers*(rounds-1))
}
