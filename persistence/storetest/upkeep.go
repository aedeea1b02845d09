package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

func upkeepPromises() []promise {
	return []promise{
		{"Ping finds the store well", upkeepPing},
		{"AuditTrail returns the newest first, at most limit", upkeepAuditTrail},
		{"Prune forgets sessions that have ended, at most limit at once", upkeepPruneSessions},
		{"I8: Prune keeps keys of the last 24 hours", upkeepPruneKeys},
		{"Close can be repeated, and what comes later is unavailable", upkeepClose},
		{"Close waits for what is under way", upkeepCloseWaits},
	}
}

func upkeepPing(t *testing.T, s persistence.Store) {
	noError(t, s.Ping(t.Context()))
}

func upkeepAuditTrail(t *testing.T, s persistence.Store) {
	u := addUser(t, s)
	var subjects []string
	for _, detail := range []string{``, `{}`, `{"reason":"stuck \"since\" lunch 🎯","n":[1,{}]}`} {
		audit := newAudit("call.force_released")
		audit.Detail = []byte(detail)
		subjects = append([]string{audit.Subject}, subjects...)
		wantKind(t, commitOne(t, s, messages.Write{Kind: messages.WriteNote, User: u.ID, Audit: &audit}), messages.OutcomeDone)
		got := auditOf(t, s, audit.Subject)
		if len(got) != 1 {
			t.Fatalf("%d entries, want 1", len(got))
		}
		if detail != "" {
			wantAudit(t, got[0], audit)
		}
	}
	for limit := 1; limit <= 4; limit++ {
		trail, err := s.AuditTrail(t.Context(), limit)
		noError(t, err)
		var got []string
		for _, a := range trail {
			got = append(got, a.Subject)
		}
		wantEqual(t, "subjects", got, subjects[:min(limit, 3)])
	}
}

func upkeepPruneSessions(t *testing.T, s persistence.Store) {
	u := addUser(t, s)
	kept := addSession(t, s, u)
	for range 5 {
		noError(t, s.AddSession(t.Context(), newDigest(), u.ID, time.Now().Add(-time.Hour)))
	}
	for _, want := range []int{2, 2, 1, 0} {
		n, err := s.Prune(t.Context(), 2)
		noError(t, err)
		wantEqual(t, "rows removed", n, want)
	}
	_, err := s.PrincipalByToken(t.Context(), kept)
	noError(t, err)
}

func upkeepPruneKeys(t *testing.T, s persistence.Store) {
	w := withKey(claimOf(addUser(t, s), addClient(t, s)), newKey("start"))
	first := commitOne(t, s, w)
	n, err := s.Prune(t.Context(), 100)
	noError(t, err)
	wantEqual(t, "rows removed", n, 0)
	wantReplay(t, s, w, first)
}

func upkeepClose(t *testing.T, s persistence.Store) {
	u, c := addUser(t, s), addClient(t, s)
	noError(t, s.Close())
	noError(t, s.Close())
	_, err := s.Commit(t.Context(), []messages.Write{claimOf(u, c)})
	wantCode(t, err, messages.CodeUnavailable)
	_, err = s.ClaimsOfUsers(t.Context(), []messages.UserID{u.ID})
	wantCode(t, err, messages.CodeUnavailable)
	_, err = s.ClientByID(t.Context(), c.ID)
	wantCode(t, err, messages.CodeUnavailable)
	wantCode(t, s.Ping(t.Context()), messages.CodeUnavailable)
}

func upkeepCloseWaits(t *testing.T, s persistence.Store) {
	const n = 8
	users, clients := addUsers(t, s, n), addClients(t, s, n)
	atOnce(n+1, func(i int) {
		if i == n {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			return
		}
		for {
			got, err := s.Commit(t.Context(), []messages.Write{claimOf(users[i], clients[i])})
			if err == nil && got[0].Kind == messages.OutcomeDone {
				got, err = s.Commit(t.Context(), []messages.Write{releaseOf(got[0].Call)})
			}
			switch code := messages.CodeOf(err); {
			case code == messages.CodeUnavailable:
				return
			case code != messages.OK:
				t.Errorf("a commit during Close: %v", err)
				return
			case got[0].Kind != messages.OutcomeDone:
				t.Errorf("a commit during Close is %s", outcomeName(got[0].Kind))
				return
			}
		}
	})
}
