package httpapi

import (
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// signIns limits failed attempts to sign in. Each attempt has to pass three
// allowances, in this order, and a failure is charged to all of them:
//
//   - of the address: somebody who tries many accounts from one place;
//   - of the address at this account: somebody who tries many passwords;
//   - of the account: somebody who does so from many places.
//
// A lock-out lasts only as long as the attack, because an allowance fills up
// again by itself and nobody has to reset anything. And it does not hit the
// real user even while the attack goes on: from one address the second
// allowance is used up long before the third, so a single attacker locks out
// only themselves; and an address that the account was signed in from before
// is not held to the third at all, so an attack from many addresses keeps the
// real user out only where they have never been.
//
// Successes are free, so that a whole office behind one address can sign in at
// nine. All of it is this node's memory, bounded, and gone with a restart.
type signIns struct {
	mu        sync.Mutex // guards everything below, allowances included
	addresses *lru.Cache[string, *allowance]
	pairs     *lru.Cache[pair, *allowance]
	accounts  *lru.Cache[string, *allowance]
	familiar  *lru.Cache[pair, struct{}] // the account was signed in from the address
}

type pair struct{ account, address string }

// allowance is a token bucket of failures. An attempt under way counts as a
// failure until it is known to be none, so that many at once get no further
// than many in a row.
type allowance struct {
	failures *rate.Limiter
	pending  int
}

// What may fail at once, and how soon one more may.
const (
	addressBurst, addressEvery = 50, 2 * time.Second
	pairBurst, pairEvery       = 5, 20 * time.Second
	accountBurst, accountEvery = 50, 10 * time.Second
	signInsKept                = 50_000
)

func newSignIns() *signIns {
	return &signIns{
		addresses: newLRU[string, *allowance](signInsKept),
		pairs:     newLRU[pair, *allowance](signInsKept),
		accounts:  newLRU[string, *allowance](signInsKept),
		familiar:  newLRU[pair, struct{}](signInsKept),
	}
}

// attempt is one try to sign in; finish it exactly once.
type attempt struct {
	limits  *signIns
	who     pair
	charged []*allowance
}

// begin reports whether account (normalised) may be tried from address now,
// and otherwise when it may.
func (s *signIns) begin(account, address string, now time.Time) (try *attempt, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who := pair{account, address}
	all := []*allowance{
		allowanceOf(s.addresses, address, addressBurst, addressEvery),
		allowanceOf(s.pairs, who, pairBurst, pairEvery),
	}
	if !s.familiar.Contains(who) {
		all = append(all, allowanceOf(s.accounts, account, accountBurst, accountEvery))
	}
	for _, allowed := range all {
		if allowed.failures.TokensAt(now)-float64(allowed.pending) < 1 {
			return nil, max(time.Second, untilNext(allowed.failures, now))
		}
	}
	for _, allowed := range all {
		allowed.pending++
	}
	return &attempt{s, who, all}, 0
}

func allowanceOf[K comparable](c *lru.Cache[K, *allowance], key K, burst int, every time.Duration) *allowance {
	if found, ok := c.Get(key); ok {
		return found
	}
	fresh := &allowance{failures: rate.NewLimiter(rate.Every(every), burst)}
	c.Add(key, fresh)
	return fresh
}

// verdict is how an attempt came out.
type verdict uint8

const (
	notTried  verdict = iota // the store or the memory for hashing was not there
	wrong                    // charged
	succeeded                // remembered: this account is at home at this address
)

func (t *attempt) finish(v verdict, now time.Time) {
	t.limits.mu.Lock()
	defer t.limits.mu.Unlock()
	for _, allowed := range t.charged {
		allowed.pending--
		if v == wrong {
			allowed.failures.AllowN(now, 1)
		}
	}
	if v == succeeded {
		t.limits.familiar.Add(t.who, struct{}{})
	}
}
