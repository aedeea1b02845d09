package sqlite

import (
	"context"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// TestListHeedsItsDeadline: a list that never ends is given up when its context
// ends, even after the first row was found, and its connection serves others.
func TestListHeedsItsDeadline(t *testing.T) {
	s := newStore(t)
	cast(t, s, 2)
	const forEver = `(with recursive n (i) as (select seq union all select i + 1 from n) select max(i) from n) > 0`
	for name, f := range map[string]filter{
		"nothing found": {condition: forEver},
		"one found":     {condition: `seq = (select seq from clients order by name, id limit 1) or ` + forEver},
	} {
		t.Run(name, func(t *testing.T) {
			query := pageOf(&f, 10, 0)
			for range s.readers.Stats().MaxOpenConnections + 1 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				_, err := s.numbers(ctx, query, f.args...)
				cancel()
				if got := messages.CodeOf(err); got != messages.CodeUnavailable {
					t.Fatalf("code %q, want %q: %v", got, messages.CodeUnavailable, err)
				}
			}
			if _, n, err := s.ListClients(t.Context(), messages.ClientQuery{Page: 1, Limit: 10}); err != nil || n != 2 {
				t.Fatalf("afterwards: %d clients (%v)", n, err)
			}
		})
	}
}
