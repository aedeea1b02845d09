package httpapi

import (
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
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
// nine. What is under way is no failure, but only so much of it is let in at
// once: each may turn out to be one, and is charged then, even beyond what the
// allowance had left. All of it is this node's memory, bounded, and gone with a restart.
type signIns struct {
	mu        sync.Mutex // guards everything below, allowances included
	addresses *lru.Cache[string, *allowance]
	pairs     *lru.Cache[pair, *allowance]
	accounts  *lru.Cache[string, *allowance]
	familiar  *lru.Cache[pair, struct{}] // the account was signed in from the address
}

type pair struct{ account, address string }

// allowance is a token bucket of failures, and how many attempts are under way.
type allowance struct {
	failures *rate.Limiter
	pending  int
	atOnce   int // pending, at most
}

// What may fail in a row, how soon one more may, and what may be under way at
// once.
const (
	addressBurst, addressEvery, addressAtOnce = 50, 2 * time.Second, 200
	pairBurst, pairEvery, pairAtOnce          = 5, 20 * time.Second, 5
	accountBurst, accountEvery, accountAtOnce = 50, 10 * time.Second, 50
	signInsKept                               = 50_000
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

// begin is a try at account (normalised) from address, or why there cannot be
// one now.
func (s *signIns) begin(account, address string, now time.Time) (*attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who := pair{account, address}
	all := []*allowance{
		allowanceOf(s.addresses, address, addressBurst, addressEvery, addressAtOnce),
		allowanceOf(s.pairs, who, pairBurst, pairEvery, pairAtOnce),
	}
	if !s.familiar.Contains(who) {
		all = append(all, allowanceOf(s.accounts, account, accountBurst, accountEvery, accountAtOnce))
	}
	for _, allowed := range all {
		switch {
		case allowed.failures.TokensAt(now) < 1:
			return nil, &problem{Code: messages.CodeRateLimited, RetryAfter: untilNext(allowed.failures, now),
				Sentence: "Too many failed attempts to sign in. Please try again later."}
		case allowed.pending >= allowed.atOnce:
			return nil, &problem{Code: messages.CodeOverloaded, Sentence: "Too many sign-ins at once. Please try again."}
		}
	}
	for _, allowed := range all {
		allowed.pending++
	}
	return &attempt{s, who, all}, nil
}

func allowanceOf[K comparable](c *lru.Cache[K, *allowance], key K, burst int, every time.Duration, atOnce int) *allowance {
	if found, ok := c.Get(key); ok {
		return found
	}
	fresh := &allowance{failures: rate.NewLimiter(rate.Every(every), burst), atOnce: atOnce}
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
			allowed.failures.ReserveN(now, 1) // unlike AllowN also into debt
		}
	}
	if v == succeeded {
		t.limits.familiar.Add(t.who, struct{}{})
	}
}
