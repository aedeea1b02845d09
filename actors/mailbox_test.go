package actors

import (
	"slices"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// listener takes down what a mailbox has handled, and panics at what it is told to. What
// it does is done by one goroutine at a time, or the race detector says so.
type listener struct {
	box       *mailbox
	handled   []any
	panicAt   any
	escalated []any
	onFailure func()
}

func (l *listener) InvokeSystemMessage(m any) { l.take(m) }
func (l *listener) InvokeUserMessage(m any)   { l.take(m) }

func (l *listener) take(m any) {
	if m == l.panicAt {
		panic(m)
	}
	l.handled = append(l.handled, m)
}

func (l *listener) EscalateFailure(_, m any) {
	l.escalated = append(l.escalated, m)
	if l.onFailure != nil {
		l.onFailure()
	}
}

// heldBox is a mailbox that runs when the test says so.
func heldBox() *listener {
	l := &listener{box: &mailbox{workers: &workers{runs: make(chan *mailbox, 1)}}}
	l.box.RegisterHandlers(l, nil)
	return l
}

// run runs the mailbox as a worker would. It reports whether it was to be run.
func (l *listener) run() bool {
	select {
	case m := <-l.box.workers.runs:
		m.run()
		return true
	default:
		return false
	}
}

func (l *listener) wants(t *testing.T, what string, want ...any) {
	t.Helper()
	if !slices.Equal(l.handled, want) {
		t.Errorf("%s: handled %v, want %v", what, l.handled, want)
	}
	l.handled = nil
}

// Those of protoactor come first, others in the order in which they came.
func TestMailboxOrder(t *testing.T) {
	l := heldBox()
	for i := range 3 {
		l.box.PostUserMessage(i)
	}
	l.box.PostSystemMessage("started")
	if n := l.box.UserMessageCount(); n != 3 {
		t.Errorf("%d messages wait", n)
	}
	if !l.run() || l.run() {
		t.Error("a mailbox with messages is not run once")
	}
	l.wants(t, "all", "started", 0, 1, 2)
	l.box.PostUserMessage(3)
	if !l.run() {
		t.Error("a mailbox that was empty is not run again")
	}
	l.wants(t, "one more", 3)
}

// An actor that failed is told nothing but what became of it, until that is decided.
func TestMailboxOfAFailedActor(t *testing.T) {
	l := heldBox()
	l.panicAt = "bad"
	l.onFailure = func() { l.box.PostSystemMessage(&actor.SuspendMailbox{}) }
	for _, m := range []any{1, "bad", 2} {
		l.box.PostUserMessage(m)
	}
	l.run()
	l.wants(t, "before the panic", 1)
	if !slices.Equal(l.escalated, []any{"bad"}) {
		t.Errorf("escalated %v", l.escalated)
	}
	l.box.PostUserMessage(3)
	l.box.PostSystemMessage("restart")
	l.run()
	l.wants(t, "suspended", "restart")
	l.box.PostSystemMessage(&actor.ResumeMailbox{})
	l.run()
	l.wants(t, "resumed", 2, 3)
}

// Whoever sends while others do, and while the mailbox runs: all is handled, by one worker
// at a time, and each sender's messages in their order.
func TestMailboxLosesNothing(t *testing.T) {
	const senders, each = 8, 2000
	w := startWorkers()
	done := make(chan struct{})
	l := &listener{box: &mailbox{workers: w}, panicAt: "last", onFailure: func() { close(done) }}
	l.box.RegisterHandlers(l, nil)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				l.box.PostUserMessage([2]int{s, i})
			}
		})
	}
	all.Wait()
	l.box.PostUserMessage("last")
	<-done
	w.stop()
	var next [senders]int
	for _, m := range l.handled {
		m := m.([2]int)
		if m[1] != next[m[0]] {
			t.Fatalf("message %d of sender %d after %d", m[1], m[0], next[m[0]])
		}
		next[m[0]]++
	}
	if len(l.handled) != senders*each {
		t.Errorf("%d of %d messages were handled", len(l.handled), senders*each)
	}
}

// A queue keeps its order through growing, through being emptied, and through never being
// empty, without growing for ever.
func TestQueue(t *testing.T) {
	var q queue
	in, out := 0, 0
	push := func(n int) {
		for range n {
			q.push(in)
			in++
		}
	}
	pop := func(n int) {
		for range n {
			if m := q.pop(fewKept); m != out {
				t.Fatalf("%v came for %d", m, out)
			}
			out++
		}
	}
	push(3)
	pop(3)
	if cap(q.all) > fewKept {
		t.Errorf("an empty queue keeps %d places", cap(q.all))
	}
	push(10)
	for range 10_000 {
		push(1)
		pop(1)
	}
	if cap(q.all) > 64 {
		t.Errorf("ten messages have %d places", cap(q.all))
	}
	pop(10)
	if q.len() != 0 || cap(q.all) > fewKept {
		t.Errorf("%d messages and %d places are left", q.len(), cap(q.all))
	}
}

// A mailbox that gets many messages again and again has places for them: those of the
// actors of users and clients are given up when they are empty.
func TestMailboxKeepsItsPlaces(t *testing.T) {
	const burst = 500
	for _, keeps := range []int{fewKept, manyKept} {
		l := heldBox()
		l.box.keeps = keeps
		for i := range burst {
			l.box.PostUserMessage(i)
		}
		l.run()
		if kept := cap(l.box.user.all); kept > keeps || keeps > burst && kept < burst {
			t.Errorf("a mailbox that is to keep %d places has %d after %d messages", keeps, kept, burst)
		}
	}
}
