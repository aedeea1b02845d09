package actors_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/messages"
)

// BenchmarkIdleActor reports what one idle user actor and one idle client
// actor take.
func BenchmarkIdleActor(b *testing.B) {
	const n = 20_000
	for range b.N {
		b.StopTimer()
		store := newFakeStore()
		s := quietSystem(store)
		before := heap()
		b.StartTimer()
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				for i := w; i < n; i += 16 {
					u := messages.UserID{UUID: uuid.UUID{3, 12: byte(i >> 16), 13: byte(i >> 8), 14: byte(i)}}
					s.EndCall(b.Context(), messages.EndCall{User: u})
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		users := heap()
		b.ReportMetric(float64(users-before)/n, "B/user")
		for w := range 16 {
			wg.Go(func() {
				for i := w; i < n; i += 16 {
					c := messages.ClientID{UUID: uuid.UUID{4, 12: byte(i >> 16), 13: byte(i >> 8), 14: byte(i)}}
					s.Availability(b.Context(), c)
				}
			})
		}
		wg.Wait()
		// The reminders of the first question are still to come; they are part
		// of a client that was just asked about, not of an idle one.
		s.SettleClients()
		b.ReportMetric(float64(heap()-users)/n, "B/client")
		runtime.KeepAlive(store)
		stop(b, s)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
