package actors_test

import (
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/dibs-calls/dibs/messages"
)

// BenchmarkCall is what a start and an end cost without a store behind them.
func BenchmarkCall(b *testing.B) {
	s := quietSystem(newFakeStore())
	defer stop(b, s)
	var callers atomic.Int32
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		n := callers.Add(1)
		u := messages.UserID{UUID: uuid.UUID{5, 14: byte(n >> 8), 15: byte(n)}}
		c := messages.ClientID{UUID: uuid.UUID{6, 14: byte(n >> 8), 15: byte(n)}}
		for pb.Next() {
			s.StartCall(b.Context(), messages.StartCall{User: u, Client: c, Call: newCall()})
			s.EndCall(b.Context(), messages.EndCall{User: u, Reason: messages.ReasonCompleted})
		}
	})
}

// BenchmarkRefusedStart is what a start costs that somebody else's call stands
// in the way of.
func BenchmarkRefusedStart(b *testing.B) {
	s := quietSystem(newFakeStore())
	defer stop(b, s)
	s.StartCall(b.Context(), startOf(1, 1))
	b.ReportAllocs()
	start := startOf(2, 1)
	for b.Loop() {
		s.StartCall(b.Context(), start)
	}
}
