package httpapi

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// tryLogin signs in from an address, and returns the status.
func (w *world) tryLogin(email, password, address string) reply {
	w.t.Helper()
	r := w.request("", "POST", "/api/auth/login", login(email, password))
	r.RemoteAddr = address + ":4711"
	return w.send(r)
}

func TestFailuresAreLimited(t *testing.T) {
	w := newWorld(t)
	for range pairBurst {
		w.tryLogin("ana@example.com", "wrong", "192.0.2.1").is(401)
	}
	got := w.tryLogin("Ana@Example.com", w.password, "192.0.2.1").is(429, messages.CodeRateLimited)
	if after := got.header.Get("Retry-After"); after != "20" {
		t.Errorf("Retry-After %s", after)
	}
	w.tryLogin("ana@example.com", w.password, "192.0.2.2").is(200) // the real user, elsewhere
	w.tryLogin("ben@example.com", w.password, "192.0.2.1").is(200) // others at the same address
	w.clock.advance(pairEvery)
	w.tryLogin("ana@example.com", w.password, "192.0.2.1").is(200)
}

func TestOneAddressManyAccounts(t *testing.T) {
	w := newWorld(t)
	for i := range addressBurst {
		w.tryLogin(fmt.Sprintf("user%d@example.com", i), "wrong", "2001:db8::1").is(401)
	}
	w.tryLogin("ana@example.com", w.password, "2001:db8::2").is(429) // the same subscriber
	w.tryLogin("ana@example.com", w.password, "2001:db8:0:1::1").is(200)
}

// Somebody with many addresses can use up what an account may fail, but not
// keep its user out of where they work.
func TestAttackFromManyAddresses(t *testing.T) {
	w := newWorld(t)
	w.tryLogin("ana@example.com", w.password, "192.0.2.1").is(200)
	for i := range accountBurst {
		w.tryLogin("ana@example.com", "wrong", fmt.Sprintf("198.51.100.%d", i)).is(401)
	}
	w.tryLogin("ana@example.com", w.password, "203.0.113.1").is(429)
	w.tryLogin("ana@example.com", w.password, "192.0.2.1").is(200)
	w.clock.advance(accountEvery)
	w.tryLogin("ana@example.com", w.password, "203.0.113.1").is(200)
}

func TestSuccessesAreFree(t *testing.T) {
	w := newWorld(t)
	for range 3 * addressBurst {
		w.tryLogin("ana@example.com", w.password, "192.0.2.1").is(200)
	}
}

func TestOutageIsNoFailure(t *testing.T) {
	w := newWorld(t)
	w.store.setFault(coded(messages.CodeUnavailable))
	for range 3 * pairBurst {
		w.tryLogin("ana@example.com", w.password, "192.0.2.1").is(503)
	}
	w.store.setFault(nil)
	w.tryLogin("ana@example.com", w.password, "192.0.2.1").is(200)
}

// Only a few attempts at an account are let in at once; the others are not told
// of failures that there were none of.
func TestAttemptsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.store.hold = make(chan struct{})
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	for range 40 {
		all.Go(func() {
			got := w.tryLogin("ana@example.com", "wrong", "192.0.2.1")
			if got.status == http.StatusServiceUnavailable {
				got.is(503, messages.CodeOverloaded)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[got.status]++
		})
	}
	waitFor(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen[http.StatusServiceUnavailable] == 40-pairAtOnce
	})
	close(w.store.hold)
	all.Wait()
	if seen[http.StatusUnauthorized] != pairAtOnce {
		t.Errorf("%v", seen)
	}
	w.tryLogin("ana@example.com", w.password, "192.0.2.1").is(429) // now they have failed
}

// What attempts at once fail beyond the allowance is not given to them: the
// next is let in as late as if they had failed one after the other.
func TestFailuresAtOnceAreAllCharged(t *testing.T) {
	s, now := newSignIns(), time.Unix(0, 0)
	begin := func() *attempt {
		t.Helper()
		try, err := s.begin("ana@example.com", "192.0.2.1", now)
		if err != nil {
			t.Fatal(err)
		}
		return try
	}
	for range pairBurst - 1 {
		begin().finish(wrong, now)
	}
	var together []*attempt
	for range pairAtOnce {
		together = append(together, begin())
	}
	for _, try := range together {
		try.finish(wrong, now)
	}
	if _, err := s.begin("ana@example.com", "192.0.2.1", now.Add(pairAtOnce*pairEvery-time.Second)); problemOf(err, "POST").Code != messages.CodeRateLimited {
		t.Errorf("too early: %v", err)
	}
	now = now.Add(pairAtOnce * pairEvery)
	begin()
}

// An office that signs in at nine is no attack, however slow the hashing is.
func TestManySignInsUnderWayAtAnAddress(t *testing.T) {
	s, now := newSignIns(), time.Unix(0, 0)
	for i := range addressAtOnce {
		if _, err := s.begin(fmt.Sprintf("user%d@example.com", i), "192.0.2.1", now); err != nil {
			t.Fatalf("the sign-in after %d others: %v", i, err)
		}
	}
	if _, err := s.begin("one.more@example.com", "192.0.2.1", now); problemOf(err, "POST").Code != messages.CodeOverloaded {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.begin("one.more@example.com", "192.0.2.2", now); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
}

func TestAddressOf(t *testing.T) {
	tests := []struct {
		name, remote string
		forwarded    []string
		proxy        bool
		want         string
	}{
		{"plain", "192.0.2.1:80", nil, false, "192.0.2.1"},
		{"mapped", "[::ffff:192.0.2.1]:80", nil, false, "192.0.2.1"},
		{"one subscriber of IPv6", "[2001:db8::1:2:3:4%eth0]:80", nil, false, "2001:db8::"},
		{"a claim of a stranger", "192.0.2.1:80", []string{"203.0.113.7"}, false, "192.0.2.1"},
		{"our proxy", "127.0.0.1:80", []string{"203.0.113.7"}, true, "203.0.113.7"},
		{"our proxy appended", "127.0.0.1:80", []string{"10.0.0.1, 203.0.113.7"}, true, "203.0.113.7"},
		{"our proxy appended a line", "127.0.0.1:80", []string{"10.0.0.1", "203.0.113.7:99"}, true, "203.0.113.7"},
		{"a proxy that says nothing", "127.0.0.1:80", nil, true, "127.0.0.1"},
		{"nonsense", "127.0.0.1:80", []string{"x"}, true, "unknown"},
		{"a socket file", "@", nil, false, "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.BehindProxy = tt.proxy })
			r := w.request("", "GET", "/", nil)
			r.RemoteAddr = tt.remote
			for _, line := range tt.forwarded {
				r.Header.Add("X-Forwarded-For", line)
			}
			if got := w.api.addressOf(r); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// waitFor waits until done, at most half a minute.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("it did not happen")
		}
	}
}
