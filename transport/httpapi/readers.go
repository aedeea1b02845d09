package httpapi

import (
	"sync"

	"github.com/dibs-calls/dibs/messages"
)

// readers counts who reads live events, in all and for each caller: one page
// that leaks its streams must not take the places of all others.
type readers struct {
	max, maxEach int

	mu   sync.Mutex
	all  int
	each map[string]int // by Principal.Caller()
}

func newReaders(limit, limitEach int) *readers {
	return &readers{max: limit, maxEach: limitEach, each: map[string]int{}}
}

// enter takes a place.
func (r *readers) enter(caller string) (leave func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.all >= r.max:
		return nil, &problem{Code: messages.CodeOverloaded, RetryAfter: readersRetry,
			Sentence: "Too many are reading live events. Please try again later."}
	case r.each[caller] >= r.maxEach:
		return nil, &problem{Code: messages.CodeRateLimited, RetryAfter: readersRetry,
			Sentence: "You are reading live events too many times at once. Please close some."}
	}
	r.all++
	r.each[caller]++
	return func() { r.leave(caller) }, nil
}

func (r *readers) leave(caller string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all--
	if r.each[caller]--; r.each[caller] == 0 {
		delete(r.each, caller)
	}
}

func (r *readers) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}
