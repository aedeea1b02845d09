package fleet

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// book is a server in memory. It takes took for each request; honest, it gives a
// client to one user at a time.
type book struct {
	took   time.Duration
	honest bool
	stall  func(now time.Time) time.Duration // nil: never

	mu      sync.Mutex
	clients map[string]string
	users   map[string]string
	token   int64
}

func (b *book) Link() Link { return bookLink{b} }

type bookLink struct{ *book }

func (b bookLink) wait() {
	d := b.took
	if b.stall != nil {
		d += b.stall(time.Now())
	}
	<-time.After(d)
}

func (b bookLink) Start(user, client string, _ time.Duration) Answer {
	b.wait()
	defer b.wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.users[user]; c != "" && b.honest {
		return Answer{Outcome: UserBusy, Because: c}
	}
	if holder := b.clients[client]; holder != "" && b.honest {
		return Answer{Outcome: ClientBusy, Because: holder}
	}
	b.clients[client], b.users[user] = user, client
	b.token++
	return Answer{Outcome: Done, Token: b.token}
}

func (b bookLink) End(user, _ string) Answer {
	b.wait()
	defer b.wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.clients, b.users[user])
	delete(b.users, user)
	return Answer{Outcome: Done}
}

func (b bookLink) Look(string) Answer { b.wait(); return Answer{Outcome: Done} }
func (b bookLink) List() Answer       { b.wait(); return Answer{Outcome: Done} }
func (bookLink) Close()               {}

func newBook(honest bool) *book {
	return &book{took: time.Millisecond, honest: honest, clients: map[string]string{}, users: map[string]string{}}
}

func names(kind string, n int) (ids []string) {
	for i := range n {
		ids = append(ids, kind+string(rune('A'+i)))
	}
	return ids
}

func run20(t *testing.T, b *book, p Plan) *Tally {
	t.Helper()
	p.Agents, p.Clients = 20, 10
	tally, err := Run(t.Context(), p, Fleet{Network: b, Users: names("user", 20), Clients: names("client", 10)})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.users) > 0 {
		t.Errorf("%d users are still on a call", len(b.users))
	}
	return tally
}

func paced() Plan {
	return Plan{Think: 50 * time.Millisecond, Talk: 100 * time.Millisecond, WrapUp: 50 * time.Millisecond, Double: 0.3,
		Ramp: time.Second, WarmUp: time.Second, Time: 20 * time.Second, Seed: 1}
}

func TestHonestServer(t *testing.T) {
	for name, plan := range map[string]Plan{"paced": paced(), "flat out": {Double: 0.3, Time: 5 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tally := run20(t, newBook(true), plan)
				if tally.Broken > 0 {
					t.Errorf("accused: %v", tally.Violations)
				}
				if tally.Calls < 100 || tally.Refused < 10 || tally.Verbs[Double].Count(UserBusy) < 10 || tally.Judged < 100 {
					t.Errorf("%d calls, %d refused, %d second starts, %d judged", tally.Calls, tally.Refused, tally.Verbs[Double].Count(UserBusy), tally.Judged)
				}
			})
		})
	}
}

func TestLyingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(false)
		tally := run20(t, b, paced())
		seen := map[string]bool{}
		for _, v := range tally.Violations {
			seen[v.Promise] = true
		}
		if !seen["I1"] || !seen["I2"] || tally.Broken <= len(seen) {
			t.Errorf("%d broken, seen %v", tally.Broken, seen)
		}
	})
}

// TestStallIsCharged: a server that stalls for two seconds of twenty delays one
// request of each agent, but a tenth of what was meant to be sent.
func TestStallIsCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		b := newBook(true)
		b.stall = func(now time.Time) time.Duration {
			if at := now.Sub(began); at > 10*time.Second && at < 12*time.Second {
				return 12*time.Second - at
			}
			return 0
		}
		plan := paced()
		plan.Double = 0
		tally := run20(t, b, plan)
		v := &tally.Verbs[Start]
		if p50, p95 := v.At(50), v.At(95); p50 > 10*time.Millisecond || p95 < 500*time.Millisecond {
			t.Errorf("p50 %s, p95 %s", p50, p95)
		}
	})
}

func TestInterruptedRunLeavesNobodyOnACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		b := newBook(true)
		plan := paced()
		plan.Agents, plan.Clients, plan.Talk = 20, 10, time.Hour
		tally, err := Run(ctx, plan, Fleet{Network: b, Users: names("user", 20), Clients: names("client", 10)})
		if !errors.Is(err, context.DeadlineExceeded) || tally == nil || len(b.users) > 0 {
			t.Errorf("%v, %v, %d users on a call", err, tally, len(b.users))
		}
	})
}
