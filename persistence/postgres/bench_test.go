package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/google/uuid"
)

// BenchmarkCommit starts and ends calls in batches as one journal writes them
// for that many callers: half of them start while the others end. One operation
// is one call.
func BenchmarkCommit(b *testing.B) {
	server := pgtest.StartServer(b, pgtest.Options{Durable: true})
	for _, callers := range []int{1, 64, 256, 1000} {
		url := server.MigratedURL(b, fmt.Sprintf("bench%d", callers))
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			s := openBench(b, url)
			batch := benchBatch(b, s, callers)
			half := (len(batch) + 1) / 2
			batch = append(benchTurn(b, s, batch[:half]), batch[half:]...) // out of step
			writes := 0
			for b.ResetTimer(); writes < 2*b.N; writes += len(batch) {
				batch = benchTurn(b, s, batch)
			}
			b.ReportMetric(float64(writes)/2/b.Elapsed().Seconds(), "calls/s")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(writes), "µs/write")
		})
	}
}

func openBench(b *testing.B, url string) *postgres.Store {
	b.Helper()
	s, err := postgres.Open(b.Context(), postgres.Config{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// benchBatch makes callers and as many claims of theirs, not committed yet.
func benchBatch(b *testing.B, s *postgres.Store, callers int) []messages.Write {
	b.Helper()
	people, clients := make([]messages.NewUser, callers), make([]messages.Client, callers)
	for i := range callers {
		people[i].User = messages.User{
			FirstName: "Ana", LastName: fmt.Sprintf("Lopez %d", i), Email: uuid.NewString() + "@example.com", Role: messages.RoleUser,
		}
		clients[i] = messages.Client{Name: fmt.Sprintf("Client %d", i), Phone: fmt.Sprintf("+1415%07d", i), Email: uuid.NewString() + "@example.org"}
	}
	users, err := s.AddUsers(b.Context(), people)
	if err == nil {
		err = s.AddClients(b.Context(), clients)
	}
	if err != nil {
		b.Fatal(err)
	}
	batch := make([]messages.Write, callers)
	for i := range batch {
		batch[i] = messages.Write{Kind: messages.WriteClaim, User: users[i].ID, Client: clients[i].ID, Call: newCall(), Lease: time.Hour}
	}
	return batch
}

// benchTurn commits the batch and returns the one that follows it.
func benchTurn(b *testing.B, s *postgres.Store, batch []messages.Write) []messages.Write {
	b.Helper()
	outcomes, err := s.Commit(b.Context(), batch)
	if err != nil {
		b.Fatal(err)
	}
	next := make([]messages.Write, len(batch))
	for i, o := range outcomes {
		if o.Kind != messages.OutcomeDone {
			b.Fatalf("%+v", o)
		}
		next[i] = messages.Write{User: o.Call.UserID, Client: o.Call.ClientID}
		if batch[i].Kind == messages.WriteClaim {
			next[i].Kind, next[i].Call, next[i].Token, next[i].Reason = messages.WriteRelease, o.Call.ID, o.Call.Token, messages.ReasonCompleted
		} else {
			next[i].Kind, next[i].Call, next[i].Lease = messages.WriteClaim, newCall(), time.Hour
		}
	}
	return next
}
