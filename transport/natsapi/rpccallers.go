package natsapi

import (
	"math"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
)

// callersKept bounds the rates that are remembered. Whoever may publish under
// any name could make up more.
const callersKept = 10_000

// rpcCallers keeps one caller from taking what is there for all. Callers are
// told apart by the names that they publish under; those without one are one.
type rpcCallers struct {
	limit  rate.Limit // requests a second; zero: no limit
	atOnce int        // places

	mu    sync.Mutex
	taken map[string]int // places, by caller; only those who have one
	rates *lru.Cache[string, *rate.Limiter]
}

func newRPCCallers(limit float64, atOnce int) *rpcCallers {
	rates, err := lru.New[string, *rate.Limiter](callersKept)
	if err != nil {
		panic(err) // the only error is a size below one
	}
	return &rpcCallers{limit: rate.Limit(limit), atOnce: atOnce, taken: map[string]int{}, rates: rates}
}

// enter gives who a place, or says why not.
func (c *rpcCallers) enter(who string, now time.Time) *wire.Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken[who] >= c.atOnce {
		return &wire.Problem{Code: messages.CodeRateLimited, Sentence: "Too many requests at a time. Please try again later."}
	}
	if wait := c.wait(who, now); wait > 0 {
		return &wire.Problem{Code: messages.CodeRateLimited, RetryAfter: wait}
	}
	c.taken[who]++
	return nil
}

// wait is how long until who may ask again; zero: now, which is then used up.
// It is called with mu held.
func (c *rpcCallers) wait(who string, now time.Time) time.Duration {
	if c.limit <= 0 {
		return 0
	}
	limiter, found := c.rates.Get(who)
	if !found {
		limiter = rate.NewLimiter(c.limit, max(1, int(math.Ceil(min(float64(c.limit), math.MaxInt32)))))
		c.rates.Add(who, limiter)
	}
	if limiter.AllowN(now, 1) {
		return 0
	}
	missing := 1 - limiter.TokensAt(now)
	return max(time.Millisecond, time.Duration(min(missing/float64(c.limit), time.Hour.Seconds())*float64(time.Second)))
}

func (c *rpcCallers) leave(who string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken[who]--; c.taken[who] <= 0 {
		delete(c.taken, who)
	}
}
