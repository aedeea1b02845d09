package httpapi

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// fakeEngine follows the semantics of the commands on the maps of a fakeStore.
type fakeEngine struct {
	store   *fakeStore
	answers map[string]keptAnswer // by caller and key
	tokens  map[messages.ClientID]int64
	panics  bool
	says    messages.Code // answered to everything while set
	started []messages.StartCall
	ended   []messages.EndCall
}

type keptAnswer struct {
	digest [32]byte
	answer messages.Answer
}

func newFakeEngine(store *fakeStore) *fakeEngine {
	return &fakeEngine{store: store, answers: map[string]keptAnswer{}, tokens: map[messages.ClientID]int64{}}
}

// once carries out f, or gives the answer that key got before.
func (e *fakeEngine) once(ctx context.Context, key *messages.Key, f func() messages.Answer) messages.Answer {
	leave, err := e.store.enter(ctx)
	if err != nil {
		return messages.Answer{Code: messages.CodeUnavailable}
	}
	defer leave()
	switch {
	case e.panics:
		panic("fake engine: secret detail")
	case e.says != messages.OK:
		return messages.Answer{Code: e.says}
	case key == nil:
		return f()
	}
	name := key.Caller + " " + key.Value
	if kept, ok := e.answers[name]; ok {
		if kept.digest != key.Digest {
			return messages.Answer{Code: messages.CodeKeyReused}
		}
		return kept.answer
	}
	answer := f()
	e.answers[name] = keptAnswer{key.Digest, answer}
	return answer
}

func (e *fakeEngine) holder(client messages.ClientID) *messages.Caller {
	for _, claim := range e.store.claims {
		if claim.ClientID == client {
			return &messages.Caller{ID: claim.UserID, Name: claim.Name, CallStartedAt: claim.StartedAt}
		}
	}
	return nil
}

func (e *fakeEngine) StartCall(ctx context.Context, cmd messages.StartCall) messages.Answer {
	return e.once(ctx, cmd.Key, func() messages.Answer {
		e.started = append(e.started, cmd)
		account, known := e.store.accounts[cmd.User]
		if !known || account.Disabled {
			return messages.Answer{Code: messages.CodeUserNotFound}
		}
		if claim, on := e.store.claims[cmd.User]; on {
			return messages.Answer{Code: messages.CodeUserOnCall, Call: &claim.Call}
		}
		if _, known := e.store.clients[cmd.Client]; !known {
			return messages.Answer{Code: messages.CodeClientNotFound}
		}
		if caller := e.holder(cmd.Client); caller != nil {
			return messages.Answer{Code: messages.CodeClientBeingCalled, Caller: caller}
		}
		lease := cmd.Lease
		if lease == 0 {
			lease = messages.DefaultLease
		}
		e.tokens[cmd.Client]++
		now := e.store.now()
		call := messages.Call{ID: cmd.Call, ClientID: cmd.Client, UserID: cmd.User, StartedAt: now,
			LeaseExpiresAt: now.Add(lease), Token: e.tokens[cmd.Client]}
		e.store.claims[cmd.User] = messages.HeldClaim{Call: call, Name: account.Name(), Lease: lease}
		return messages.Answer{Call: &call}
	})
}

func (e *fakeEngine) EndCall(ctx context.Context, cmd messages.EndCall) messages.Answer {
	return e.once(ctx, cmd.Key, func() messages.Answer {
		if err := keepable(cmd.Disposition, cmd.Notes); err != nil {
			return messages.Answer{Code: messages.CodeInternal}
		}
		e.ended = append(e.ended, cmd)
		claim, on := e.store.claims[cmd.User]
		if !on {
			return messages.Answer{}
		}
		if (!cmd.Call.IsZero() && cmd.Call != claim.ID) || (cmd.Token != 0 && cmd.Token != claim.Token) {
			return messages.Answer{Call: &claim.Call}
		}
		return e.end(cmd.User, cmd.Audit)
	})
}

func (e *fakeEngine) end(user messages.UserID, audit *messages.Audit) messages.Answer {
	claim := e.store.claims[user]
	delete(e.store.claims, user)
	if audit != nil {
		e.store.audits = append(e.store.audits, *audit)
	}
	return messages.Answer{Ended: &claim.Call}
}

func (e *fakeEngine) SaveLog(ctx context.Context, cmd messages.SaveLog) messages.Answer {
	return e.once(ctx, cmd.Key, func() messages.Answer {
		if err := keepable(cmd.Log.Notes); err != nil {
			return messages.Answer{Code: messages.CodeInternal}
		}
		if _, known := e.store.accounts[cmd.User]; !known {
			return messages.Answer{Code: messages.CodeUserNotFound}
		}
		if _, known := e.store.clients[cmd.Log.ClientID]; !known {
			return messages.Answer{Code: messages.CodeClientNotFound}
		}
		log, answer := cmd.Log, messages.Answer{}
		if claim, on := e.store.claims[cmd.User]; on && claim.ClientID == log.ClientID {
			answer = e.end(cmd.User, nil)
			log.CallID = &claim.ID
		}
		log.CreatedAt = e.store.now()
		e.store.logs = append(e.store.logs, log)
		answer.Log = &log
		return answer
	})
}

func (e *fakeEngine) RenewCall(ctx context.Context, cmd messages.RenewCall) messages.Answer {
	return e.once(ctx, cmd.Key, func() messages.Answer {
		claim, on := e.store.claims[cmd.User]
		if !on || claim.ID != cmd.Call || claim.Token != cmd.Token {
			return messages.Answer{Code: messages.CodeCallOver}
		}
		lease := cmd.Lease
		if lease == 0 {
			lease = claim.Lease
		}
		claim.LeaseExpiresAt = e.store.now().Add(lease)
		e.store.claims[cmd.User] = claim
		return messages.Answer{Call: &claim.Call}
	})
}

func (e *fakeEngine) Availability(ctx context.Context, client messages.ClientID) messages.Availability {
	leave, err := e.store.enter(ctx)
	if err != nil {
		return messages.Availability{Code: messages.CodeUnavailable}
	}
	defer leave()
	if _, known := e.store.clients[client]; !known {
		return messages.Availability{Code: messages.CodeClientNotFound}
	}
	return messages.Availability{Caller: e.holder(client)}
}

// age moves the beginning of a user's call into the past.
func (e *fakeEngine) age(user messages.UserID, by time.Duration) {
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	claim := e.store.claims[user]
	claim.StartedAt = claim.StartedAt.Add(-by)
	e.store.claims[user] = claim
}
