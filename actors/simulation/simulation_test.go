package simulation

import (
	"flag"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

var seedFlag = flag.Uint64("seed", 0, "replay one seed")

const eventsARun = 600

func TestInterleavings(t *testing.T) {
	seeds := uint64(4000)
	if testing.Short() {
		seeds = 100
	}
	first := uint64(1)
	if *seedFlag != 0 {
		first, seeds = *seedFlag, *seedFlag
	}
	for name, m := range map[string]mode{
		"one process":    {faults: true, mailboxes: true, nodes: 1},
		"slow messages":  {faults: true, nodes: 1},
		"a shared store": {faults: true, mailboxes: true, nodes: 3},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := first; seed <= seeds; seed++ {
				run(t, seed, m)
			}
		})
	}
}

// User and client actors live on different nodes: what they say to each other is lost,
// comes twice, or late, and another node takes users over.
func TestInterleavingsBetweenNodes(t *testing.T) {
	first, seeds := uint64(1), uint64(1500)
	if testing.Short() {
		seeds = 100
	}
	if *seedFlag != 0 {
		first, seeds = *seedFlag, *seedFlag
	}
	for seed := first; seed <= seeds; seed++ {
		run(t, seed, mode{faults: true, nodes: 1, distant: true})
	}
}

// Without faults nothing is left to the store's indexes: the actors alone keep
// two people from calling one client.
func TestInterleavingsWithoutFaults(t *testing.T) {
	glances := 0
	for seed := uint64(1); seed <= 600; seed++ {
		w := run(t, seed, mode{mailboxes: true, nodes: 1})
		if w.store.lostRace > 0 {
			t.Fatalf("seed %d: %d claims were stopped by an index only", seed, w.store.lostRace)
		}
		glances += w.glances
	}
	if glances == 0 {
		t.Fatal("nothing was answered from what actors show")
	}
}

func run(t *testing.T, seed uint64, m mode) *world {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("replay with -seed %d (%+v)", seed, m)
		}
	}()
	w := newWorld(t, seed, 2+int(seed%5), 1+int(seed%4), m)
	events := w.events()
	for range eventsARun {
		w.happen(events)
	}
	w.quiesce()
	w.checkHistory()
	w.checkEnding()
	return w
}

// quiesce lets everything that is under way come to its end, without faults.
func (w *world) quiesce() {
	w.faults = false
	for len(w.doubts) > 0 {
		w.step++
		w.decide()
	}
	for range 100_000 {
		w.step++
		switch {
		case len(w.order) > 0:
			w.deliver()
		case len(w.writes) > 0:
			w.commit()
		case len(w.reads) > 0:
			w.read()
		case len(w.reminders) > 0:
			w.now = w.now.Add(client.RemindAfter)
			w.remind()
		default:
			return
		}
	}
	w.t.Fatal("it never comes to rest")
}

// checkEnding holds what must be true when all is quiet.
func (w *world) checkEnding() {
	for _, r := range w.requests {
		if r.answered == 0 && !r.gaveUp {
			w.t.Fatalf("%s was never answered", r.name)
		}
	}
	// Every lease runs out, and every call ends by it (I5).
	for range 3 { // an actor that does not know of its call learns of it first
		w.now = w.now.Add(time.Hour)
		w.sweep()
		w.quiesce()
	}
	if n := len(w.store.byUser); n > 0 {
		w.t.Fatalf("I5: %d calls never ended", n)
	}
	for n := range w.clients {
		r := &request{client: w.clients[n].state.Client}
		w.ask(r)
		w.quiesce()
		if r.answered == 0 || r.availability != (messages.Availability{}) {
			w.t.Fatalf("client %d is stuck: %+v", n, r.availability)
		}
	}
	for n, u := range w.users {
		if p := u.state.Phase(); p != user.Idle && p != user.Asleep {
			w.t.Fatalf("user %d is stuck in %v", n, p)
		}
	}
}
