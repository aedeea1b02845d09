package live

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Events of a random history arrive in random order, twice or never, from this
// node or the stream, while the truth is read in between. At every moment no
// client and no user is on two calls, readers who apply what they are told know
// what the model knows, and after a reading with nothing under way the model
// equals the truth.
func TestRandomDelivery(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &randomWorld{t: t, rnd: rand.New(rand.NewPCG(7, uint64(seed))), store: newStore(8),
				knows: map[messages.CallID]messages.LiveCall{}}
			w.model = newModel(t, w.store)
			w.store.during = w.during
			w.reconcile()
			for range 300 {
				w.step()
			}
			w.way = nil // the rest is lost
			w.store.during = nil
			w.reconcile()
			if got, want := w.model.shows(), w.store.shows(); got != want {
				t.Fatalf("the model shows\n%s\nthe truth is\n%s", got, want)
			}
			for _, onCall := range []bool{false, true} {
				if got, want := listOf(t, w.model, onCall), w.store.list(t, onCall); got != want {
					t.Fatalf("the list says\n%s\nthe truth is\n%s", got, want)
				}
			}
		})
	}
}

type randomWorld struct {
	t     *testing.T
	rnd   *rand.Rand
	store *store
	model *Model
	way   []messages.Event // committed, not yet told to the model
	past  []messages.Event // told before; may come again
	seq   uint64
	knows map[messages.CallID]messages.LiveCall // what a reader knows
}

func (w *randomWorld) step() {
	switch n := w.rnd.IntN(100); {
	case n < 35:
		w.way = append(w.way, w.store.start(w.rnd.IntN(10), w.rnd.IntN(6))...)
	case n < 60:
		w.way = append(w.way, w.store.end(w.rnd.IntN(10))...)
	case n < 90:
		w.deliver()
	case n < 94 && len(w.past) > 0:
		w.tell(w.past[w.rnd.IntN(len(w.past))]) // again
	case n < 96 && len(w.way) > 0:
		w.take() // lost
	case n < 98:
		w.store.now = w.store.now.Add(time.Duration(w.rnd.IntN(20)) * time.Second)
	default:
		w.reconcile()
	}
}

// during is what happens while the truth is being read.
func (w *randomWorld) during() {
	for range w.rnd.IntN(6) {
		w.way = append(w.way, w.store.start(w.rnd.IntN(10), w.rnd.IntN(6))...)
		w.way = append(w.way, w.store.end(w.rnd.IntN(10))...)
		w.deliver()
	}
}

// take takes one of what is under way: mostly the first.
func (w *randomWorld) take() messages.Event {
	i := 0
	if w.rnd.IntN(4) == 0 {
		i = w.rnd.IntN(len(w.way))
	}
	e := w.way[i]
	w.way = append(w.way[:i:i], w.way[i+1:]...)
	return e
}

func (w *randomWorld) deliver() {
	if len(w.way) == 0 {
		return
	}
	e := w.take()
	w.past = append(w.past, e)
	w.tell(e)
}

func (w *randomWorld) tell(e messages.Event) {
	if w.rnd.IntN(2) == 0 {
		w.model.Committed([]messages.Event{e})
	} else {
		w.seq++
		w.model.Apply(Offset{Seq: w.seq}, e)
	}
	w.check()
}

func (w *randomWorld) reconcile() {
	if err := w.model.reconcile(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.check()
}

// check holds the state to its own rules.
func (w *randomWorld) check() {
	w.t.Helper()
	s := w.model.state
	on := 0
	for uid, p := range s.people {
		if p.call == nil {
			continue
		}
		on++
		if p.call.Call.UserID != uid || s.holders[p.call.Call.ClientID] != p {
			w.t.Fatalf("%s is on a call that is not theirs: %+v", uid, p.call.Call)
		}
	}
	if on != len(s.holders) {
		w.t.Fatalf("%d users on calls with %d clients", on, len(s.holders))
	}
}

// The same against a running model, with what readers see: they know what the
// model knows, all of them, whenever they came.
func TestRandomDeliveryToReaders(t *testing.T) {
	truth := newStore(8)
	m := newModel(t, truth, func(c *Config) { c.WakeEvery, c.ReconcileEvery = time.Millisecond, 3*time.Millisecond })
	run(t, m)
	w := &randomWorld{t: t, rnd: rand.New(rand.NewPCG(1, 2)), store: truth, model: m}
	readers := []*reader{listen(t, m, "")}
	for i := range 3000 {
		switch n := w.rnd.IntN(100); {
		case n < 40:
			w.way = append(w.way, truth.start(w.rnd.IntN(10), w.rnd.IntN(6))...)
		case n < 70:
			w.way = append(w.way, truth.end(w.rnd.IntN(10))...)
		case n < 98 && len(w.way) > 0:
			e := w.take()
			if w.rnd.IntN(2) == 0 {
				m.Committed([]messages.Event{e})
			} else {
				w.seq++
				m.Apply(Offset{Seq: w.seq}, e)
			}
		case n == 98:
			m.RefreshUsers()
		case i%10 == 0:
			m.Reset(Offset{Seq: w.seq})
		}
		if i%100 == 0 {
			readers = append(readers, listen(t, m, ""))
		}
	}
	for _, e := range w.way {
		m.Committed([]messages.Event{e})
	}
	waitFor(t, func() bool { m.RefreshUsers(); return m.shows() == truth.shows() })
	want := truth.shows()
	for i, r := range readers {
		waitFor(t, func() bool { return r.knows() == want })
		r.look(func(r *reader) {
			if r.snapshots == 0 {
				t.Errorf("reader %d had no snapshot", i)
			}
		})
	}
}
