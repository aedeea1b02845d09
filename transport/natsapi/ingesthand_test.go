package natsapi

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestNobodyIsOvertakenWhoGoesBackAgain: an event that comes again and finds the line full
// goes back before the next one of its user, whatever place that one would find.
func TestNobodyIsOvertakenWhoGoesBackAgain(t *testing.T) {
	h := newHand(inHand)
	now := time.Unix(1, 0)
	worked := make(chan uint64)
	enter := func(seq, delivered uint64) bool {
		e := &event{meta: &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Stream: seq}, NumDelivered: delivered}}
		e.user = aUser
		_, ok := h.inLine(e, here, now, func(e *event) bool { worked <- e.meta.Sequence.Stream; return true }, func() {})
		return ok
	}
	const full = lineMost + 1
	for seq := range uint64(full + 2) {
		if ok := enter(seq, 1); ok != (seq < full) {
			t.Fatalf("event %d has a place: %t", seq, ok)
		}
	}
	now = now.Add(backLeast)
	if enter(full, 2) {
		t.Fatal("the line is not full")
	}
	<-worked
	waitFor(t, soon, "there is room in the line", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.lines[aUser]) < lineMost })
	now = now.Add(backApart)
	if enter(full+1, 2) {
		t.Errorf("event %d overtook the one before it", full+1)
	}
	go func() {
		h.wait()
		close(worked)
	}()
	for range worked { // those in line
	}
}
