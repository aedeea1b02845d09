package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/go-cmp/cmp"
)

func contextPromises() []promise {
	return []promise{
		{"A batch with a context that has ended is not applied", contextEnded},
		{"A context that ends during a commit never makes the answer a guess", contextEndsDuring},
		{"Reading and writing with a context that has ended is unavailable", contextEndedReads},
	}
}

func contextEnded(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Commit(ctx, []messages.Write{claimOf(u, c)})
	wantCode(t, err, messages.CodeUnavailable)
	wantFree(t, s, u.ID, c.ID)
}

// contextEndsDuring lets deadlines fall all over the time that a commit takes,
// and holds each answer to what became of the claim.
func contextEndsDuring(t *testing.T, s persistence.Store) {
	const tries = 60
	users, clients := addUsers(t, s, tries), addClients(t, s, tries)
	began := time.Now()
	start(t, s, addUser(t, s), addClient(t, s))
	whole := max(2*time.Since(began), time.Millisecond)
	told := map[messages.Code]int{}
	for i := range tries {
		ctx, cancel := context.WithTimeout(t.Context(), whole*time.Duration(i)/tries)
		w := claimOf(users[i], clients[i])
		outcomes, err := s.Commit(ctx, []messages.Write{w})
		cancel()
		var h *messages.HeldClaim
		waitFor(t, "the claim to be readable, once what was under way is over", func() bool {
			claims, err := s.ClaimsOfClients(t.Context(), []messages.ClientID{clients[i].ID})
			if err != nil {
				wantCode(t, err, messages.CodeUnavailable)
				return false
			}
			h = atMostOne(t, claims)
			return true
		})
		told[messages.CodeOf(err)]++
		switch messages.CodeOf(err) {
		case messages.OK:
			if outcomes[0].Kind != messages.OutcomeDone || h == nil || !cmp.Equal(h.Call, outcomes[0].Call) {
				t.Fatalf("I3: answered %+v, in progress is %+v", outcomes[0], h)
			}
		case messages.CodeUnavailable:
			if h != nil {
				t.Fatalf("said to be not applied, and in progress: %+v", h)
			}
		case messages.CodeOutcomeUnknown:
			if h != nil && h.ID != w.Call {
				t.Fatalf("in progress is %+v, written was %s", h, w.Call)
			}
		default:
			t.Fatalf("the error carries neither of the two codes: %v", err)
		}
	}
	t.Logf("answers: %v", told)
}

func contextEndedReads(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"ClaimsOfUsers": func() error {
			_, err := s.ClaimsOfUsers(ctx, []messages.UserID{u.ID})
			return err
		},
		"ClaimsOfClients": func() error {
			_, err := s.ClaimsOfClients(ctx, []messages.ClientID{c.ID})
			return err
		},
		"CallsInProgress": func() error {
			_, err := s.CallsInProgress(ctx)
			return err
		},
		"OutboxRows": func() error {
			_, err := s.OutboxRows(ctx, nil, 10)
			return err
		},
		"ClearOutbox": func() error { return s.ClearOutbox(ctx, []int64{1}) },
		"OutboxBacklog": func() error {
			_, _, err := s.OutboxBacklog(ctx)
			return err
		},
		"OutboxSize": func() error {
			_, _, err := s.OutboxSize(ctx, 0, 10)
			return err
		},
		"TrimOutbox": func() error {
			_, err := s.TrimOutbox(ctx, 0, 0, 10)
			return err
		},
		"UserStatuses": func() error {
			_, err := s.UserStatuses(ctx, false)
			return err
		},
		"ListClients": func() error {
			_, _, err := s.ListClients(ctx, messages.ClientQuery{Page: 1, Limit: 10})
			return err
		},
		"AddClientOnce": func() error { c := newClient("late"); return s.AddClientOnce(ctx, &c, *newKey("late")) },
		"AddClients":    func() error { return s.AddClients(ctx, []messages.Client{newClient("late")}) },
		"UpdateClients": func() error {
			_, err := s.UpdateClients(ctx, []messages.ClientPatch{{ID: c.ID}})
			return err
		},
		"DeleteClient": func() error { return s.DeleteClient(ctx, c.ID, newAudit("client.deleted")) },
		"EachClient":   func() error { return s.EachClient(ctx, func(messages.Client) error { return errors.New("read") }) },
		"Ping":         func() error { return s.Ping(ctx) },
	} {
		if got := messages.CodeOf(call()); got != messages.CodeUnavailable {
			t.Errorf("%s: code %q, want %q", name, got, messages.CodeUnavailable)
		}
	}
	if _, err := s.ClientByID(t.Context(), c.ID); err != nil {
		t.Fatalf("the client is gone: %v", err)
	}
}
