package httpapi

import (
	"math"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

const (
	principalsKept = 100_000
	// principalTTL is how long a revocation made elsewhere may go unnoticed
	// here, and what it buys: a caller costs the store one read in this time.
	principalTTL = 2 * time.Second
	// principalStaleTTL is how long a session counts while the store is away:
	// what is served then comes from memory, and nobody can revoke anything.
	principalStaleTTL = 15 * time.Minute
	// revokedTTL outlasts any lookup that was under way at the revocation.
	revokedTTL = time.Minute
)

// principals remembers who tokens stand for. Unknown tokens are not
// remembered: they would push out the known ones.
type principals struct {
	mu   sync.Mutex // makes put's look before the write one step
	kept *lru.Cache[[32]byte, knownToken]
}

type knownToken struct {
	who   *messages.Principal // nil: revoked on this node
	until time.Time
}

// within reports whether what is known may be used at now, or was still good
// not longer than grace ago.
func (k knownToken) within(now time.Time, grace time.Duration) bool {
	if k.who == nil {
		return now.Before(k.until)
	}
	if expires := k.who.ExpiresAt; !expires.IsZero() && !now.Before(expires) {
		return false
	}
	return now.Before(k.until.Add(grace))
}

func newPrincipals() *principals {
	return &principals{kept: newLRU[[32]byte, knownToken](principalsKept)}
}

// get returns who the token stands for, nil for one that was revoked here;
// known is false when the store has to be asked. grace is how long ago what is
// known may have gone stale.
func (c *principals) get(digest [32]byte, now time.Time, grace time.Duration) (who *messages.Principal, known bool) {
	k, ok := c.kept.Get(digest)
	if !ok || !k.within(now, grace) {
		return nil, false
	}
	return k.who, true
}

// put remembers what the store said. It is false when the token was revoked
// here while the store was asked.
func (c *principals) put(digest [32]byte, who *messages.Principal, now time.Time) bool {
	until := now.Add(principalTTL)
	if !who.ExpiresAt.IsZero() && who.ExpiresAt.Before(until) {
		until = who.ExpiresAt
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.kept.Peek(digest); ok && k.who == nil && now.Before(k.until) {
		return false
	}
	c.kept.Add(digest, knownToken{who, until})
	return true
}

// revoke makes the token worthless on this node at once.
func (c *principals) revoke(digest [32]byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.Add(digest, knownToken{nil, now.Add(revokedTTL)})
}

// keyRates limits those API keys that a rate was set for.
type keyRates struct {
	mu       sync.Mutex
	limiters *lru.Cache[uuid.UUID, *rate.Limiter]
}

func newKeyRates() *keyRates { return &keyRates{limiters: newLRU[uuid.UUID, *rate.Limiter](10_000)} }

// allow reports whether the key may make a request now, and otherwise when. A
// key may use up one second's worth at once.
func (k *keyRates) allow(who *messages.Principal, now time.Time) (wait time.Duration, ok bool) {
	limit := rate.Limit(who.RateLimit)
	k.mu.Lock()
	limiter, found := k.limiters.Get(who.KeyID)
	if !found || limiter.Limit() != limit { // the limit was changed
		burst := max(1, int(math.Ceil(min(who.RateLimit, math.MaxInt32))))
		limiter = rate.NewLimiter(limit, burst)
		k.limiters.Add(who.KeyID, limiter)
	}
	k.mu.Unlock()
	if limiter.AllowN(now, 1) {
		return 0, true
	}
	return untilNext(limiter, now), false
}

// untilNext is how long it takes until limiter has a token again, at most a
// day.
func untilNext(limiter *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - limiter.TokensAt(now)
	seconds := min(missing/float64(limiter.Limit()), (24 * time.Hour).Seconds())
	return time.Duration(seconds * float64(time.Second))
}

// newLRU cannot fail: the only error is a size below one.
func newLRU[K comparable, V any](size int) *lru.Cache[K, V] {
	c, err := lru.New[K, V](size)
	if err != nil {
		panic(err)
	}
	return c
}
