package httpapi

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// While the store is known to be away nobody waits for it: not for who is
// asking, and not for what was asked.
func TestUnreachableStoreIsNotAsked(t *testing.T) {
	var away atomic.Bool
	w := newWorld(t, func(c *Config) { c.Reachable = func() bool { return !away.Load() } })
	w.do("Ana", "GET", "/api/auth/verify", nil).is(200)
	away.Store(true)
	w.clock.advance(time.Minute) // what is known of Ana is stale by now

	// Ana was seen lately, Ben was not.
	w.do("Ana", "GET", "/api/auth/verify", nil).is(200)
	w.do("Ben", "GET", "/api/auth/verify", nil).is(503, messages.CodeUnavailable)
	w.do("Ana", "GET", "/api/clients", nil).is(503, messages.CodeUnavailable)
	w.do("Ana", "PUT", "/api/user-status", m{"action": "end_call"}).is(503, messages.CodeUnavailable)
	w.do("", "POST", "/api/auth/login", m{"email": "ana@example.com", "password": w.password}).is(503, messages.CodeUnavailable)

	// Nor does a session last for ever because the store is away.
	w.clock.advance(principalStaleTTL)
	w.do("Ana", "GET", "/api/auth/verify", nil).is(503, messages.CodeUnavailable)

	away.Store(false)
	w.do("Ana", "GET", "/api/auth/verify", nil).is(200)
	w.do("Ben", "GET", "/api/clients", nil).is(200)
}
