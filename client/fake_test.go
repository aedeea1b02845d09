package client

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// store is a server of one call, on the clock of the test. Requests take a
// random time to get there and back, and may be lost on either way.
type store struct {
	random  *rand.Rand
	latency time.Duration // each way, at most
	losses  float64       // of requests, and of answers

	mu      sync.Mutex
	down    bool
	lose    string // verb of the next request whose answer gets lost
	waits   *Error // what renewals are told instead, if anything
	call    Call
	expires time.Time // of the claim; zero: there is none
	answers map[string][]byte
	renewed []time.Time
	ended   int
	starts  int
}

func newStore(seed uint64) *store {
	return &store{random: rand.New(rand.NewPCG(seed, 1)), answers: map[string][]byte{}}
}

// alive reports whether the claim is there.
func (s *store) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.expires)
}

func (s *store) set(change func(s *store)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// travel is one way of a message; false: it got lost, and the caller waits.
func (s *store) travel(ctx context.Context) bool {
	s.mu.Lock()
	var takes time.Duration
	if s.latency > 0 {
		takes = time.Duration(s.random.Int64N(int64(s.latency)))
	}
	gone := s.random.Float64() < s.losses || s.down
	s.mu.Unlock()
	if gone {
		<-ctx.Done()
		return false
	}
	return sleepUntil(ctx, time.Now().Add(takes))
}

func (s *store) do(ctx context.Context, r *request) ([]byte, error) {
	if !s.travel(ctx) {
		return nil, lost(ctx.Err())
	}
	body, err := s.serve(r)
	if s.loses(r.verb) {
		<-ctx.Done()
		return nil, lost(ctx.Err())
	}
	if !s.travel(ctx) {
		return nil, lost(ctx.Err())
	}
	return body, err
}

func (s *store) loses(verb string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lose != verb {
		return false
	}
	s.lose = ""
	return true
}

func (s *store) serve(r *request) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.answers[r.key]; ok && r.key != "" {
		return first, nil
	}
	var in change
	if err := json.Unmarshal(r.body, &in); err != nil {
		return nil, err
	}
	lease := time.Duration(in.LeaseSeconds) * time.Second
	switch r.verb {
	case "start":
		s.starts++
		if time.Now().Before(s.expires) {
			return nil, &Error{Code: CodeUserOnCall, Call: &s.call}
		}
		s.call = Call{ID: "call", UserID: in.UserID, ClientID: in.ClientID, Token: s.call.Token + 1}
		s.expires = time.Now().Add(lease)
	case "renew":
		if s.waits != nil {
			return nil, s.waits
		}
		if !time.Now().Before(s.expires) || in.Token != s.call.Token {
			return nil, &Error{Code: CodeCallOver, Sentence: "This call is over."}
		}
		s.renewed = append(s.renewed, time.Now())
		s.expires = time.Now().Add(lease)
	case "end":
		s.ended++
		s.expires = time.Time{}
	}
	s.call.LeaseExpiresAt = s.expires
	body, err := json.Marshal(map[string]any{"call": s.call, "user": User{ID: in.UserID}})
	if r.key != "" {
		s.answers[r.key] = body
	}
	return body, err
}

func (s *store) watch(context.Context, string, func(string) bool, func(Event) bool) error { return nil }
func (s *store) close()                                                                   {}
