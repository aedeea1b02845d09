package sqlite

import (
	"fmt"
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

// BenchmarkCommit starts and ends calls in batches as the journal writes them
// for that many callers: half of them start while the others end. One
// operation is one call.
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 64, 256, 1024} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := newStore(b)
			users, clients := cast(b, s, callers)
			var batch []messages.Write
			for i := range users {
				batch = append(batch, claimOf(users[i], clients[i]))
			}
			half := len(batch) / 2
			writes := 0
			for ; writes < 2*b.N; writes += len(batch) {
				outcomes, err := s.Commit(b.Context(), batch)
				if err != nil {
					b.Fatal(err)
				}
				for i, o := range outcomes {
					if o.Kind != messages.OutcomeDone {
						b.Fatalf("%+v", o)
					}
					if batch[i].Kind == messages.WriteClaim {
						batch[i] = releaseOf(o.Call)
					} else {
						batch[i] = claimOf(o.Call.UserID, o.Call.ClientID)
					}
				}
				if writes == 0 && half > 0 { // put the halves out of step
					first, err := s.Commit(b.Context(), batch[:half])
					if err != nil {
						b.Fatal(err)
					}
					for i, o := range first {
						batch[i] = claimOf(o.Call.UserID, o.Call.ClientID)
					}
				}
			}
			b.ReportMetric(float64(writes)/2/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkAddClients adds clients as an import does, a thousand at a time. One
// operation is a thousand.
func BenchmarkAddClients(b *testing.B) {
	s := newStore(b)
	for i := 0; b.Loop(); i++ {
		addNumbered(b, s, 1000*i, 1000)
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "clients/s")
}

func addNumbered(b *testing.B, s *Store, from, n int) {
	b.Helper()
	first := []string{"Ana", "Ben", "Cleo", "Dan", "Eva", "Finn", "Grace", "Hugo", "Ines", "Jörg"}
	last := []string{"Adams", "Bell", "Castro", "Diaz", "Ergün", "Fischer", "Gupta", "Hansen", "Ito", "Jones", "Kim"}
	clients := make([]messages.Client, n)
	for i := range clients {
		k := from + i
		f, l := first[k%len(first)], last[k/3%len(last)]
		clients[i] = messages.Client{
			Name: fmt.Sprintf("%s %s %d", f, l, k), Phone: fmt.Sprintf("+1415%07d", k*7919%10_000_000),
			Email: fmt.Sprintf("%s.%s.%d@example.com", f, l, k), Notes: "Imported from the old system.",
			Attributes: []byte(`{"source":"import","segment":"smb"}`),
		}
	}
	if err := s.AddClients(b.Context(), clients); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSearch asks for the first page among many clients, by searches that
// find few, many and all of them.
func BenchmarkSearch(b *testing.B) {
	const n = 100_000
	s := newStore(b)
	for i := 0; i < n; i += 1000 {
		addNumbered(b, s, i, 1000)
	}
	for _, search := range []string{"", "a", "ana", "ana adams 330", "+1 (415) 007-9190", "@example.com", "nobody", "zz"} {
		b.Run(fmt.Sprintf("%q", search), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := s.ListClients(b.Context(), messages.ClientQuery{Search: search, Page: 1, Limit: 50}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
