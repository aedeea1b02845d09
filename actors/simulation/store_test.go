package simulation

import (
	"maps"
	"slices"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// record is one call as the store knows it, for ever. Steps are moments of the
// simulation; zero is never.
type record struct {
	call      messages.Call
	key       string
	lease     time.Duration
	committed int
	ended     int
	reason    messages.EndReason
}

// store is what a database with the two unique indexes does, without any of
// the engine's knowledge.
type store struct {
	byUser   map[messages.UserID]*record
	byClient map[messages.ClientID]*record
	tokens   map[messages.ClientID]int64
	keys     map[string]messages.Answer
	history  []*record
	lostRace int // claims that only an index stopped
}

func newStore() *store {
	return &store{
		byUser: map[messages.UserID]*record{}, byClient: map[messages.ClientID]*record{},
		tokens: map[messages.ClientID]int64{}, keys: map[string]messages.Answer{},
	}
}

func (s *store) apply(w messages.Write, step int, now time.Time) messages.Outcome {
	if w.Key != nil {
		if a, used := s.keys[w.Key.Value]; used {
			return messages.Outcome{Kind: messages.OutcomeReplayed, Replay: &a}
		}
	}
	o := s.effect(w, step, now)
	if w.Key != nil {
		s.keys[w.Key.Value] = messages.AnswerOf(w, o)
	}
	return o
}

func (s *store) effect(w messages.Write, step int, now time.Time) messages.Outcome {
	held := s.byUser[w.User]
	switch w.Kind {
	case messages.WriteClaim:
		return s.claim(w, step, now)
	case messages.WriteNote:
		return messages.Outcome{Kind: messages.OutcomeDone, Log: w.Log}
	case messages.WriteRenew, messages.WriteRelease:
		if held == nil || held.call.ID != w.Call || held.call.Token != w.Token {
			return messages.Outcome{Kind: messages.OutcomeCallOver, Log: w.Log}
		}
	}
	if w.Kind == messages.WriteRenew {
		held.lease, held.call.LeaseExpiresAt = w.Lease, now.Add(w.Lease+w.Slack)
		return messages.Outcome{Kind: messages.OutcomeDone, Call: held.call}
	}
	if w.Reason == messages.ReasonExpired && now.Before(held.call.LeaseExpiresAt) {
		return messages.Outcome{Kind: messages.OutcomeNotExpired, Call: held.call}
	}
	delete(s.byUser, w.User)
	delete(s.byClient, held.call.ClientID)
	held.ended, held.reason = step, w.Reason
	return messages.Outcome{Kind: messages.OutcomeDone, Call: held.call, Log: w.Log}
}

func (s *store) claim(w messages.Write, step int, now time.Time) messages.Outcome {
	if held := s.byUser[w.User]; held != nil {
		s.lostRace++
		return messages.Outcome{Kind: messages.OutcomeUserHeld, Call: held.call}
	}
	if held := s.byClient[w.Client]; held != nil {
		s.lostRace++
		return messages.Outcome{
			Kind: messages.OutcomeClientHeld, Call: held.call,
			Holder: messages.Caller{ID: held.call.UserID, CallStartedAt: held.call.StartedAt},
		}
	}
	s.tokens[w.Client]++
	r := &record{lease: w.Lease, committed: step, call: messages.Call{
		ID: w.Call, UserID: w.User, ClientID: w.Client, StartedAt: now,
		LeaseExpiresAt: now.Add(w.Lease), Token: s.tokens[w.Client],
	}}
	if w.Key != nil {
		r.key = w.Key.Value
	}
	s.byUser[w.User], s.byClient[w.Client] = r, r
	s.history = append(s.history, r)
	return messages.Outcome{Kind: messages.OutcomeDone, Call: r.call, Holder: messages.Caller{ID: w.User}}
}

func (r *record) held() *messages.HeldClaim {
	if r == nil {
		return nil
	}
	return &messages.HeldClaim{Call: r.call, Lease: r.lease}
}

// expired returns the claims whose lease has run out, in a fixed order.
func (s *store) expired(now time.Time) []*record {
	var found []*record
	for _, r := range slices.Collect(maps.Values(s.byUser)) {
		if !now.Before(r.call.LeaseExpiresAt) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *record) int { return a.committed - b.committed })
	return found
}
