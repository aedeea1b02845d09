package storetest

import (
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/google/uuid"
)

func tokenPromises() []promise {
	return []promise{
		{"A session stands for its user until it expires", tokenSession},
		{"A session that has expired is CodeUnauthenticated", tokenSessionExpired},
		{"A session that was revoked is CodeUnauthenticated", tokenSessionRevoked},
		{"A session of an unknown user is CodeUserNotFound", tokenSessionUnknownUser},
		{"Disabling a user ends their sessions", tokenSessionDisabled},
		{"A new password ends a user's sessions", tokenSessionPassword},
		{"An unknown token is CodeUnauthenticated", tokenUnknown},
		{"An API key stands for its service", tokenAPIKey},
		{"An API key that was revoked is CodeUnauthenticated and stays on the list", tokenAPIKeyRevoked},
		{"Revoking an unknown API key is CodeNotFound", tokenAPIKeyUnknown},
		{"ListAPIKeys returns the newest first", tokenAPIKeyOrder},
	}
}

func newDigest() (d [32]byte) {
	a, b := uuid.New(), uuid.New()
	copy(d[:16], a[:])
	copy(d[16:], b[:])
	return d
}

func addSession(t *testing.T, s persistence.Store, u messages.User) [32]byte {
	t.Helper()
	digest := newDigest()
	noError(t, s.AddSession(t.Context(), digest, u.ID, time.Now().Add(time.Hour)))
	return digest
}

func wantUnauthenticated(t *testing.T, s persistence.Store, digest [32]byte) {
	t.Helper()
	p, err := s.PrincipalByToken(t.Context(), digest)
	if err == nil {
		t.Fatalf("the token stands for %+v", p)
	}
	wantCode(t, err, messages.CodeUnauthenticated)
}

func tokenSession(t *testing.T, s persistence.Store) {
	users := addUsers(t, s, 2)
	expires := time.Now().Add(time.Hour).In(time.FixedZone("", 3600))
	for _, u := range users {
		digest := newDigest()
		noError(t, s.AddSession(t.Context(), digest, u.ID, expires))
		p, err := s.PrincipalByToken(t.Context(), digest)
		noError(t, err)
		if !storedTime(p.ExpiresAt) || p.ExpiresAt.Sub(expires).Abs() > time.Microsecond {
			t.Fatalf("expires at %v, want %v", p.ExpiresAt, expires)
		}
		wantEqual(t, "principal", p, messages.Principal{User: u, ExpiresAt: p.ExpiresAt})
	}
}

func tokenSessionExpired(t *testing.T, s persistence.Store) {
	digest := newDigest()
	noError(t, s.AddSession(t.Context(), digest, addUser(t, s).ID, time.Now().Add(-time.Hour)))
	wantUnauthenticated(t, s, digest)
}

func tokenSessionRevoked(t *testing.T, s persistence.Store) {
	u := addUser(t, s)
	digest, other := addSession(t, s, u), addSession(t, s, u)
	noError(t, s.RevokeSession(t.Context(), digest))
	noError(t, s.RevokeSession(t.Context(), digest))
	noError(t, s.RevokeSession(t.Context(), newDigest()))
	wantUnauthenticated(t, s, digest)
	_, err := s.PrincipalByToken(t.Context(), other)
	noError(t, err)
}

func tokenSessionUnknownUser(t *testing.T, s persistence.Store) {
	digest := newDigest()
	wantCode(t, s.AddSession(t.Context(), digest, newUserID(), time.Now().Add(time.Hour)), messages.CodeUserNotFound)
	wantUnauthenticated(t, s, digest)
}

func tokenSessionDisabled(t *testing.T, s persistence.Store) {
	users := addUsers(t, s, 2)
	gone, kept := addSession(t, s, users[0]), addSession(t, s, users[1])
	noError(t, s.DisableUser(t.Context(), users[0].ID, newAudit("user.disabled")))
	wantUnauthenticated(t, s, gone)
	_, err := s.PrincipalByToken(t.Context(), kept)
	noError(t, err)
	// A session that is made while the account is disabled is worth nothing.
	late := newDigest()
	_ = s.AddSession(t.Context(), late, users[0].ID, time.Now().Add(time.Hour))
	wantUnauthenticated(t, s, late)
	noError(t, s.EnableUser(t.Context(), users[0].ID, newAudit("user.enabled")))
	wantUnauthenticated(t, s, gone) // it has ended for good
	_, err = s.PrincipalByToken(t.Context(), addSession(t, s, users[0]))
	noError(t, err)
}

func tokenSessionPassword(t *testing.T, s persistence.Store) {
	users := addUsers(t, s, 2)
	gone, kept := addSession(t, s, users[0]), addSession(t, s, users[1])
	noError(t, s.SetPassword(t.Context(), users[0].ID, "$new$hash", newAudit("user.password_set")))
	wantUnauthenticated(t, s, gone)
	_, err := s.PrincipalByToken(t.Context(), kept)
	noError(t, err)
	_, err = s.PrincipalByToken(t.Context(), addSession(t, s, users[0]))
	noError(t, err)
}

func tokenUnknown(t *testing.T, s persistence.Store) {
	wantUnauthenticated(t, s, newDigest())
	wantUnauthenticated(t, s, [32]byte{})
}

func newAPIKey(name string) messages.APIKey {
	return messages.APIKey{ID: uuid.New(), Name: name, Role: messages.RoleService, CreatedAt: time.Now()}
}

func tokenAPIKey(t *testing.T, s persistence.Store) {
	limited, free := newAPIKey("dialer"), newAPIKey("dialer")
	limited.RateLimit, free.Role = 12.5, messages.RoleAdmin
	for _, key := range []messages.APIKey{limited, free} {
		digest, audit := newDigest(), newAudit("api_key.created")
		noError(t, s.AddAPIKey(t.Context(), digest, key, audit))
		p, err := s.PrincipalByToken(t.Context(), digest)
		noError(t, err)
		wantEqual(t, "principal", p, messages.Principal{
			User:  messages.User{FirstName: key.Name, Role: key.Role},
			KeyID: key.ID, RateLimit: key.RateLimit,
		})
		wantOneAudit(t, s, audit)
	}
}

func tokenAPIKeyRevoked(t *testing.T, s persistence.Store) {
	key, digest, audit := newAPIKey("dialer"), newDigest(), newAudit("api_key.revoked")
	noError(t, s.AddAPIKey(t.Context(), digest, key, newAudit("api_key.created")))
	for range 2 {
		noError(t, s.RevokeAPIKey(t.Context(), key.ID, audit))
	}
	wantUnauthenticated(t, s, digest)
	keys, err := s.ListAPIKeys(t.Context())
	noError(t, err)
	if len(keys) != 1 || keys[0].RevokedAt == nil || !storedTime(*keys[0].RevokedAt) {
		t.Fatalf("keys: %+v", keys)
	}
	wantOneAudit(t, s, audit)
}

func tokenAPIKeyUnknown(t *testing.T, s persistence.Store) {
	audit := newAudit("api_key.revoked")
	wantCode(t, s.RevokeAPIKey(t.Context(), uuid.New(), audit), messages.CodeNotFound)
	wantEqual(t, "entries", len(auditOf(t, s, audit.Subject)), 0)
}

func tokenAPIKeyOrder(t *testing.T, s persistence.Store) {
	var want []string
	for _, name := range []string{"one", "two", "three"} {
		noError(t, s.AddAPIKey(t.Context(), newDigest(), newAPIKey(name), newAudit("api_key.created")))
		want = append([]string{name}, want...)
	}
	keys, err := s.ListAPIKeys(t.Context())
	noError(t, err)
	var got []string
	for _, k := range keys {
		got = append(got, k.Name)
		if !storedTime(k.CreatedAt) || k.RevokedAt != nil || k.Role != messages.RoleService {
			t.Fatalf("key: %+v", k)
		}
	}
	wantEqual(t, "names", got, want)
}
