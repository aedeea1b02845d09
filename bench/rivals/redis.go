package rivals

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Lease is how long a claim lasts that nobody ends, where the store can do that
// by itself.
const Lease = 2 * time.Hour

// redisConns is the size of the pool. Redis syncs once for all connections that
// wait, so more of them make its batches larger.
const redisConns = 256

// The scripts run alone, so each is one step. A user's key holds the client, a
// client's key the user; both run out.
var ( //nolint:gochecknoglobals // compiled once and never written to
	redisStart = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 'user' end
local holder = redis.call('GET', KEYS[2])
if holder then return holder end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
return ''`)
	redisEnd = redis.NewScript(`
local client = redis.call('GETDEL', KEYS[1])
if client then redis.call('DEL', 'c:' .. client) end
return 0`)
)

// Redis is a Lua script over two keys.
type Redis struct{ client *redis.Client }

// NewRedis connects to a server, which must sync its append-only file before it
// answers.
func NewRedis(ctx context.Context, addr string) (Rival, error) {
	r := Redis{redis.NewClient(&redis.Options{Addr: addr, PoolSize: redisConns, MinIdleConns: redisConns})}
	for name, want := range map[string]string{"appendonly": "yes", "appendfsync": "always"} {
		got, err := r.client.ConfigGet(ctx, name).Result()
		if err != nil {
			return nil, err
		}
		if got[name] != want {
			return nil, fmt.Errorf("redis: %s is %q, and not %q", name, got[name], want)
		}
	}
	for _, s := range []*redis.Script{redisStart, redisEnd} {
		if err := s.Load(ctx, r.client).Err(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Start implements [Rival].
func (r Redis) Start(ctx context.Context, user, client uuid.UUID) (Result, error) {
	u, c := user.String(), client.String()
	said, err := redisStart.EvalSha(ctx, r.client, []string{"u:" + u, "c:" + c}, u, c, Lease.Milliseconds()).Text()
	switch {
	case err != nil || said == "":
		return Result{}, err
	case said == "user":
		return Result{Outcome: UserBusy}, nil
	}
	holder, err := uuid.Parse(said)
	return Result{ClientBusy, holder}, err
}

// End implements [Rival].
func (r Redis) End(ctx context.Context, user uuid.UUID) error {
	return redisEnd.EvalSha(ctx, r.client, []string{"u:" + user.String()}).Err()
}

// Holder implements [Rival].
func (r Redis) Holder(ctx context.Context, client uuid.UUID) (uuid.UUID, error) {
	said, err := r.client.Get(ctx, "c:"+client.String()).Result()
	if errors.Is(err, redis.Nil) {
		return uuid.Nil, nil
	}
	if err != nil {
		return uuid.Nil, err
	}
	return uuid.Parse(said)
}

// Close implements [Rival].
func (r Redis) Close() { _ = r.client.Close() } // nothing is under way
