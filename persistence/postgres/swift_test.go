package postgres_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/storetest"
	"github.com/google/uuid"
)

// What every store promises of a batch holds when none is written swiftly.
func TestConformanceCarefully(t *testing.T) {
	topics := []string{"Claim", "Release", "Renew", "Note", "Key", "Batch", "Event"}
	if !testing.Short() {
		topics = append(topics, "Concurrent")
	}
	for _, topic := range topics {
		t.Run(topic, func(t *testing.T) {
			storetest.RunTopic(t, topic, func(t *testing.T) persistence.Store {
				s := open(t, pgtest.URL(t))
				s.WriteCarefully(math.MaxInt32)
				return s
			})
		})
	}
}

// A server that is alone does without the correction of tokens, and writes small
// batches at once.
func TestConformanceAlone(t *testing.T) {
	for _, topic := range []string{"Claim", "Release", "Batch", "Event"} {
		t.Run(topic, func(t *testing.T) {
			storetest.RunTopic(t, topic, func(t *testing.T) persistence.Store {
				s := open(t, pgtest.URL(t))
				if _, err := s.Occupy(t.Context(), false); err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}

// Each write that is not as the actors believed is found out, and has the batch
// written carefully: it is refused and the others are carried out. A batch
// without one is written swiftly.
func TestSurprises(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	id := uuid.New
	users, clients := b.people(t, 8), b.clients(t, 8)
	claim := func(u messages.UserID, c messages.ClientID) messages.Write {
		return messages.Write{Kind: messages.WriteClaim, User: u, Client: c, Call: newCall(), Lease: time.Hour}
	}
	end := func(c messages.Call) messages.Write {
		return messages.Write{
			Kind: messages.WriteRelease, User: c.UserID, Client: c.ClientID, Call: c.ID, Token: c.Token, Reason: messages.ReasonCompleted,
		}
	}
	commit := func(t *testing.T, w messages.Write) messages.Outcome {
		t.Helper()
		outcomes, err := b.store.Commit(t.Context(), []messages.Write{w})
		if err != nil {
			t.Fatal(err)
		}
		return outcomes[0]
	}
	held := b.claim(t, users[0], clients[0])
	over := b.claim(t, users[1], clients[1])
	commit(t, end(over))
	disabled := users[2]
	if err := b.store.DisableUser(t.Context(), disabled, messages.Audit{By: "test", Action: "user.disabled", Subject: disabled.String()}); err != nil {
		t.Fatal(err)
	}
	old, other := end(held), end(held)
	old.Token--
	other.Call = newCall()
	logged := end(b.claim(t, users[4], clients[4]))
	logged.Log = &messages.CallLog{
		ID: messages.LogID{UUID: id()}, UserID: users[4], ClientID: messages.ClientID{UUID: id()}, CallType: "outbound", CallStatus: "completed",
	}
	for name, c := range map[string]struct {
		write messages.Write
		want  messages.OutcomeKind
	}{
		"client held":          {claim(users[3], held.ClientID), messages.OutcomeClientHeld},
		"user held":            {claim(held.UserID, clients[3]), messages.OutcomeUserHeld},
		"no such user":         {claim(messages.UserID{UUID: id()}, clients[3]), messages.OutcomeNoUser},
		"disabled user":        {claim(disabled, clients[3]), messages.OutcomeNoUser},
		"no such client":       {claim(users[3], messages.ClientID{UUID: id()}), messages.OutcomeNoClient},
		"call over":            {end(over), messages.OutcomeCallOver},
		"old token":            {old, messages.OutcomeCallOver},
		"another call":         {other, messages.OutcomeCallOver},
		"log about no client":  {logged, messages.OutcomeNoClient},
		"expiry of a lease on": {func() messages.Write { w := end(held); w.Reason = messages.ReasonExpired; return w }(), messages.OutcomeNotExpired},
	} {
		t.Run(name, func(t *testing.T) {
			b.store.WriteCarefully(0)
			good := claim(users[7], clients[7])
			outcomes, err := b.store.Commit(t.Context(), []messages.Write{good, c.write})
			if err != nil {
				t.Fatal(err)
			}
			wantKinds(t, outcomes, messages.OutcomeDone, c.want)
			if wary := b.store.Wary(); wary != (c.want != messages.OutcomeNotExpired) { // which is known beforehand
				t.Errorf("wary: %v", wary)
			}
			b.store.WriteCarefully(0)
			if o := commit(t, end(outcomes[0].Call)); o.Kind != messages.OutcomeDone || b.store.Wary() {
				t.Errorf("a batch as good as any: %+v, wary: %v", o, b.store.Wary())
			}
		})
	}
	var left, finished int
	err := b.direct.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM claims), (SELECT count(*) FROM calls)`).Scan(&left, &finished)
	if err != nil || left != 2 || finished != 1+10 {
		t.Errorf("%v; %d claims and %d finished calls", err, left, finished)
	}
}

// A call may be ended by somebody who does not say which client it was with, in the
// batch that calls that client again: the token of the next call is greater all the
// same, and it can be ended in its turn (I6, I5). And where the clock is set back
// between the two, the calls do not overlap.
func TestSwiftTokensOfUnnamedClients(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	users, clients := b.people(t, 2), b.clients(t, 1)
	first := b.claim(t, users[0], clients[0])
	ahead := time.Now().Add(time.Hour)
	if _, err := b.direct.Exec(t.Context(), `UPDATE claims SET started_at = $1`, ahead); err != nil {
		t.Fatal(err)
	}
	outcomes, err := b.store.Commit(t.Context(), []messages.Write{
		{Kind: messages.WriteRelease, User: first.UserID, Call: first.ID, Token: first.Token, Reason: messages.ReasonCompleted},
		{Kind: messages.WriteClaim, User: users[1], Client: clients[0], Call: newCall(), Lease: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantKinds(t, outcomes, messages.OutcomeDone, messages.OutcomeDone)
	next := outcomes[1].Call
	if next.Token <= first.Token || next.StartedAt.Before(outcomes[0].Event.At) {
		t.Errorf("%+v follows %+v, which ended at %v", next, first, outcomes[0].Event.At)
	}
	outcomes, err = b.store.Commit(t.Context(), []messages.Write{
		{Kind: messages.WriteRelease, User: next.UserID, Client: next.ClientID, Call: next.ID, Token: next.Token, Reason: messages.ReasonCompleted},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantKinds(t, outcomes, messages.OutcomeDone)
}

// The same where the batch names the client.
func TestSwiftClockSetBack(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	users, clients := b.people(t, 2), b.clients(t, 1)
	first := b.claim(t, users[0], clients[0])
	if _, err := b.direct.Exec(t.Context(), `UPDATE claims SET started_at = $1`, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	outcomes, err := b.store.Commit(t.Context(), []messages.Write{
		{
			Kind: messages.WriteRelease, User: first.UserID, Client: first.ClientID, Call: first.ID, Token: first.Token,
			Reason: messages.ReasonCompleted,
		},
		{Kind: messages.WriteClaim, User: users[1], Client: clients[0], Call: newCall(), Lease: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantKinds(t, outcomes, messages.OutcomeDone, messages.OutcomeDone)
	if next := outcomes[1].Call; next.StartedAt.Before(outcomes[0].Event.At) {
		t.Errorf("%+v began before the end of the call before it, %v", next, outcomes[0].Event.At)
	}
}

// A client that is called again in the transaction that ends its call, and one
// whose clock was set back since, get a greater token and a later start (I6).
func TestSwiftTokens(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	users, clients := b.people(t, 2), b.clients(t, 1)
	call := b.claim(t, users[0], clients[0])
	for turn := range 4 {
		outcomes, err := b.store.Commit(t.Context(), []messages.Write{
			{
				Kind: messages.WriteRelease, User: call.UserID, Client: call.ClientID, Call: call.ID, Token: call.Token,
				Reason: messages.ReasonCompleted,
			},
			{Kind: messages.WriteClaim, User: users[(turn+1)%2], Client: clients[0], Call: newCall(), Lease: time.Hour},
		})
		if err != nil {
			t.Fatal(err)
		}
		wantKinds(t, outcomes, messages.OutcomeDone, messages.OutcomeDone)
		next := outcomes[1].Call
		if next.Token != call.Token+1 || next.StartedAt.Before(outcomes[0].Event.At) {
			t.Errorf("%+v follows %+v", next, call)
		}
		call = next
	}
	if b.store.Wary() {
		t.Error("not written swiftly")
	}
	outcomes, err := b.store.Commit(t.Context(), []messages.Write{{
		Kind: messages.WriteRelease, User: call.UserID, Client: call.ClientID, Call: call.ID, Token: call.Token, Reason: messages.ReasonCompleted,
	}})
	if err != nil {
		t.Fatal(err)
	}
	wantKinds(t, outcomes, messages.OutcomeDone)
	ahead := time.Now().Add(time.Hour)
	if _, err := b.direct.Exec(t.Context(), `UPDATE calls SET ended_at = $1`, ahead); err != nil {
		t.Fatal(err)
	}
	if got := b.claim(t, users[0], clients[0]); got.Token != call.Token+1 || got.StartedAt.Before(ahead.Truncate(time.Millisecond)) {
		t.Errorf("%+v follows %+v, which ended at %v", got, call, ahead)
	}
}

// What ends say of their calls is kept with each, whatever most of a batch say.
func TestSwiftKeepsWhatIsSaid(t *testing.T) {
	b := newBench(t, pgtest.URL(t), nil)
	const calls = 4
	users, clients := b.people(t, calls), b.clients(t, calls)
	odd := "\"Zoë\"\\ <b>&amp;\\u0000</b>\n\t🎯 \u2028\x7f"
	said := [calls][3]string{
		{"completed", "", ""}, {"log_saved", "SALE", ""}, {"completed", "", "asked for an offer"}, {"force_released", odd, odd},
	}
	for _, first := range []int{0, 3} { // whose reason is taken to be that of most
		ends := make([]messages.Write, calls)
		for n := range ends {
			i := (first + n) % calls
			c := b.claim(t, users[i], clients[i])
			ends[i] = messages.Write{
				Kind: messages.WriteRelease, User: c.UserID, Client: c.ClientID, Call: c.ID, Token: c.Token,
				Reason: messages.EndReason(said[i][0]), Disposition: said[i][1], Notes: said[i][2],
			}
		}
		outcomes, err := b.store.Commit(t.Context(), append(ends[first:], ends[:first]...))
		if err != nil || b.store.Wary() {
			t.Fatalf("%v, wary: %v", err, b.store.Wary())
		}
		wantKinds(t, outcomes, slices.Repeat([]messages.OutcomeKind{messages.OutcomeDone}, calls)...)
		for i, w := range ends {
			var kept [3]string
			err := b.direct.QueryRow(t.Context(), `SELECT reason, disposition, notes FROM calls WHERE id = $1`, w.Call.UUID).
				Scan(&kept[0], &kept[1], &kept[2])
			if err != nil || kept != said[i] {
				t.Errorf("%v; %q was kept of %q", err, kept, said[i])
			}
		}
	}
}
