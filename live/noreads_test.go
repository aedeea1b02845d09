package live_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// reads counts what is asked of the store.
type reads struct{ lists, calls, tokens atomic.Int64 }

func (r *reads) all() int64 { return r.lists.Load() + r.calls.Load() + r.tokens.Load() }

type countedTruth struct {
	*benchTruth
	reads *reads
}

func (t countedTruth) ActiveUsers(ctx context.Context) ([]messages.User, error) {
	t.reads.lists.Add(1)
	return t.benchTruth.ActiveUsers(ctx)
}

func (t countedTruth) CallsInProgress(ctx context.Context) ([]messages.LiveCall, error) {
	t.reads.calls.Add(1)
	return t.benchTruth.CallsInProgress(ctx)
}

// countedTokens is a store that knows one token. It has no other method: a
// handler that called one would panic, and the answer would be a 500.
type countedTokens struct {
	oneUser
	reads *reads
}

func (s countedTokens) PrincipalByToken(ctx context.Context, digest [32]byte) (messages.Principal, error) {
	s.reads.tokens.Add(1)
	return s.oneUser.PrincipalByToken(ctx, digest)
}

// GET /api/user-status reads nothing from the store: not when the list has
// changed, nor when the caller has it already. Who is asking is read once, and
// again when that has grown old (two seconds), so that a log-out counts.
func TestUserStatusReadsNothing(t *testing.T) {
	var n reads
	var now atomic.Int64
	s := newBenchServerOn(t, func(o *benchOptions) {
		o.truth = countedTruth{o.users, &n}
		o.store = countedTokens{o.store.(oneUser), &n}
		o.now = func() time.Time { return time.Unix(now.Load(), 0) }
	})
	ask := func(path, tag string, zipped bool) *discard {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.token)
		if tag != "" {
			r.Header.Set("If-None-Match", tag)
		}
		if zipped {
			r.Header.Set("Accept-Encoding", "gzip")
		}
		out := &discard{header: http.Header{}}
		s.api.ServeHTTP(out, r)
		return out
	}
	if got := ask("/api/user-status", "", false); got.status != http.StatusOK {
		t.Fatalf("status %d", got.status)
	}
	if n.tokens.Load() != 1 {
		t.Errorf("the token was read %d times, want once", n.tokens.Load())
	}
	before := n.all()
	for i := range 50 {
		s.model.Committed(s.truth.toggle(i))
		for _, path := range []string{"/api/user-status", "/api/user-status?on_call=true"} {
			for _, zipped := range []bool{false, true} {
				full := ask(path, "", zipped)
				if full.status != http.StatusOK || full.bytes == 0 {
					t.Fatalf("%s: status %d, %d bytes", path, full.status, full.bytes)
				}
				tag := full.header.Get("Etag")
				if got := ask(path, tag, zipped); got.status != http.StatusNotModified || got.bytes > 0 {
					t.Fatalf("%s, If-None-Match %s: status %d, %d bytes", path, tag, got.status, got.bytes)
				}
			}
		}
	}
	if got := n.all() - before; got != 0 {
		t.Errorf("400 answers read the store %d times: %d lists, %d calls, %d tokens", got, n.lists.Load(), n.calls.Load(), n.tokens.Load())
	}
	now.Add(60)
	ask("/api/user-status", "", true)
	if got := n.all() - before; got != 1 || n.tokens.Load() != 2 {
		t.Errorf("a minute later an answer read the store %d times, want once, who is asking", got)
	}
}
