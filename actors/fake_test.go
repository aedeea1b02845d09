package actors_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// fakeStore keeps claims in memory with the two unique indexes, and fails when
// it is told to.
type fakeStore struct {
	mu       sync.Mutex
	byUser   map[messages.UserID]messages.HeldClaim
	byClient map[messages.ClientID]messages.UserID
	tokens   map[messages.ClientID]int64
	ended    map[messages.CallID]messages.EndReason
	over     map[messages.CallID]messages.Call
	keys     map[string]messages.Answer
	logs     int
	lookups  int
	fail     func(batch []messages.Write) error // before the batch is applied
	after    func(batch []messages.Write) error // after it was applied
	down     bool
}

func newFakeStore() *fakeStore {
	return &fakeStore{
		byUser:   map[messages.UserID]messages.HeldClaim{},
		byClient: map[messages.ClientID]messages.UserID{},
		tokens:   map[messages.ClientID]int64{},
		ended:    map[messages.CallID]messages.EndReason{},
		over:     map[messages.CallID]messages.Call{},
		keys:     map[string]messages.Answer{},
	}
}

var errDown = &messages.Error{Code: messages.CodeUnavailable, Cause: errors.New("down")}

func (f *fakeStore) set(change func(*fakeStore)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeStore) Commit(_ context.Context, batch []messages.Write) ([]messages.Outcome, error) {
	f.mu.Lock()
	fail, after := f.fail, f.after
	f.mu.Unlock()
	if fail != nil {
		if err := fail(batch); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	if f.down {
		f.mu.Unlock()
		return nil, errDown
	}
	outcomes := make([]messages.Outcome, len(batch))
	for _, kind := range []messages.WriteKind{messages.WriteRelease, messages.WriteRenew, messages.WriteClaim, messages.WriteNote} {
		for i, w := range batch {
			if w.Kind == kind {
				outcomes[i] = f.once(w)
			}
		}
	}
	f.mu.Unlock()
	if after != nil {
		if err := after(batch); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// once applies a write unless its key is known.
func (f *fakeStore) once(w messages.Write) messages.Outcome {
	if w.Key == nil {
		return f.apply(w)
	}
	name := w.Key.Caller + "/" + w.Key.Value
	if first, known := f.keys[name]; known {
		return messages.Outcome{Kind: messages.OutcomeReplayed, Replay: &first}
	}
	o := f.apply(w)
	f.keys[name] = messages.AnswerOf(w, o)
	return o
}

func (f *fakeStore) apply(w messages.Write) messages.Outcome {
	held, on := f.byUser[w.User]
	mine := on && held.ID == w.Call && held.Token == w.Token
	switch w.Kind {
	case messages.WriteClaim:
		return f.claim(w)
	case messages.WriteNote:
		if w.Log != nil {
			f.logs++
		}
		return messages.Outcome{Kind: messages.OutcomeDone, Log: w.Log}
	}
	if w.Log != nil {
		f.logs++
	}
	if !mine {
		return messages.Outcome{Kind: messages.OutcomeCallOver, Log: w.Log}
	}
	if w.Kind == messages.WriteRenew {
		held.Lease, held.LeaseExpiresAt = w.Lease, time.Now().Add(w.Lease+w.Slack)
		f.byUser[w.User] = held
		return messages.Outcome{Kind: messages.OutcomeDone, Call: held.Call}
	}
	if w.Reason == messages.ReasonExpired && time.Now().Before(held.LeaseExpiresAt) {
		return messages.Outcome{Kind: messages.OutcomeNotExpired, Call: held.Call}
	}
	delete(f.byUser, w.User)
	delete(f.byClient, w.Client)
	f.ended[w.Call] = w.Reason
	held.LeaseExpiresAt = time.Time{}
	f.over[w.Call] = held.Call
	return messages.Outcome{Kind: messages.OutcomeDone, Call: held.Call, Log: w.Log}
}

func (f *fakeStore) claim(w messages.Write) messages.Outcome {
	if held, on := f.byUser[w.User]; on {
		return messages.Outcome{Kind: messages.OutcomeUserHeld, Call: held.Call}
	}
	if holder, on := f.byClient[w.Client]; on {
		held := f.byUser[holder]
		return messages.Outcome{
			Kind: messages.OutcomeClientHeld, Call: held.Call,
			Holder: messages.Caller{ID: holder, Name: held.Name, CallStartedAt: held.StartedAt},
		}
	}
	f.tokens[w.Client]++
	now := time.Now()
	held := messages.HeldClaim{
		Call: messages.Call{
			ID: w.Call, UserID: w.User, ClientID: w.Client, StartedAt: now,
			LeaseExpiresAt: now.Add(w.Lease), Token: f.tokens[w.Client],
		},
		Name: nameOf(w.User), Lease: w.Lease,
	}
	f.byUser[w.User] = held
	f.byClient[w.Client] = w.User
	return messages.Outcome{
		Kind: messages.OutcomeDone, Call: held.Call,
		Holder: messages.Caller{ID: w.User, Name: held.Name, CallStartedAt: now},
	}
}

func nameOf(u messages.UserID) string { return fmt.Sprintf("User %d", u.UUID[15]) }

func (f *fakeStore) ClaimsOfUsers(_ context.Context, users []messages.UserID) ([]messages.HeldClaim, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, errDown
	}
	var found []messages.HeldClaim
	for _, u := range users {
		if held, on := f.byUser[u]; on {
			found = append(found, held)
		}
	}
	return found, nil
}

func (f *fakeStore) ClaimsOfClients(_ context.Context, clients []messages.ClientID) ([]messages.HeldClaim, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookups++
	if f.down {
		return nil, errDown
	}
	var found []messages.HeldClaim
	for _, c := range clients {
		if u, on := f.byClient[c]; on {
			found = append(found, f.byUser[u])
		}
	}
	return found, nil
}

func (f *fakeStore) EndedCalls(_ context.Context, calls []messages.CallID) ([]messages.Call, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, errDown
	}
	var found []messages.Call
	for _, id := range calls {
		if c, ok := f.over[id]; ok {
			found = append(found, c)
		}
	}
	return found, nil
}

// ExistingClients knows every client but those whose id ends in 99.
func (f *fakeStore) ExistingClients(_ context.Context, clients []messages.ClientID) ([]messages.ClientID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, errDown
	}
	var found []messages.ClientID
	for _, c := range clients {
		if c.UUID[15] != 99 {
			found = append(found, c)
		}
	}
	return found, nil
}

func (f *fakeStore) Expired(_ context.Context, limit int) ([]messages.HeldClaim, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, errDown
	}
	var found []messages.HeldClaim
	for _, held := range f.byUser {
		if time.Now().After(held.LeaseExpiresAt) && len(found) < limit {
			found = append(found, held)
		}
	}
	return found, nil
}

func (f *fakeStore) Ping(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errDown
	}
	return nil
}
