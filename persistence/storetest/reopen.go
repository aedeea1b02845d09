package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// RunReopen holds a store to what must outlive its process. open returns a new
// store as [Run] asks for, and a function that closes it and opens the same
// data again; it arranges for the end of both.
func RunReopen(t *testing.T, open func(t *testing.T) (first persistence.Store, reopen func() persistence.Store)) {
	t.Helper()
	t.Run("I3: what was acknowledged is there after a restart", func(t *testing.T) {
		s, reopen := open(t)
		reopenKeeps(t, s, reopen)
	})
}

func reopenKeeps(t *testing.T, s persistence.Store, reopen func() persistence.Store) {
	t.Helper()
	users, clients := addUsers(t, s, 3), addClients(t, s, 3)
	claim := withKey(claimOf(users[0], clients[0]), newKey("start"))
	claim.Lease = 90 * time.Minute
	started := commitOne(t, s, claim)
	renewed := commitOne(t, s, renewalOf(start(t, s, users[1], clients[1]), 2*time.Hour, 0))
	over := start(t, s, users[2], clients[2])
	audit := newAudit("call.force_released")
	release := withKey(releaseOf(over), newKey("end"))
	release.Log, release.Audit = logOf(users[2], clients[2], "kept"), &audit
	released := commitOne(t, s, release)
	session := addSession(t, s, users[0])
	before := heldBy(t, s, users[0].ID)
	told := outboxRows(t, s)

	s = reopen()
	wantHeld(t, s, started.Call)
	wantHeld(t, s, renewed.Call)
	wantFree(t, s, users[2].ID, clients[2].ID)
	wantEqual(t, "claim", heldBy(t, s, users[0].ID), before)
	wantEqual(t, "outbox", outboxRows(t, s), told)
	wantReplay(t, s, claim, started)
	wantReplay(t, s, release, released)
	wantEqual(t, "logs", len(allLogs(t, s, clients[2].ID)), 1)
	wantEqual(t, "entries", len(auditOf(t, s, audit.Subject)), 1)
	_, err := s.PrincipalByToken(t.Context(), session)
	noError(t, err)
	next := start(t, s, users[2], clients[2])
	if next.Token <= over.Token {
		t.Fatalf("I6: token %d after %d", next.Token, over.Token)
	}
	wantKind(t, commitOne(t, s, claimOf(users[2], clients[0])), messages.OutcomeUserHeld)
	end(t, s, started.Call)
}
