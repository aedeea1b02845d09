package admission

import (
	"testing"
	"time"
)

// TestQuestionsDoNotKeepStartsOut: places of questions that nobody takes the answers
// of, such as lists for slow readers, are not those of starts, whatever the limit is.
func TestQuestionsDoNotKeepStartsOut(t *testing.T) {
	for name, before := range map[string]offer{"at rest": {rate: 500, caller: 2}, "after an overload": {rate: 20_000, caller: 3}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, processes()["two cores, fast store"])
			w.run(3*time.Second, before)
			w.run(time.Second, offer{rate: 500, caller: 2})
			for range 2000 {
				w.limiter.Enter(Ask, 1)
			}
			if saw := w.run(5*time.Second, offer{rate: 500, caller: 2}); saw.refused > 0 || len(saw.took) == 0 {
				t.Errorf("%d starts were refused, %d carried out", saw.refused, len(saw.took))
			}
		})
	}
}

// TestStartsLeaveRoom: however many starts are in flight, ends are admitted, and it can
// be found out who asks.
func TestStartsLeaveRoom(t *testing.T) {
	l := New(Options{Fixed: 4096})
	for range 6000 {
		l.Enter(Start, 1)
	}
	for _, c := range []Class{End, Part, Ask} {
		if _, ok := l.Enter(c, 2); !ok {
			t.Errorf("class %d is refused", c)
		}
	}
}

// TestAfterSilence: what was learned in an overload does not count ten minutes later.
func TestAfterSilence(t *testing.T) {
	w := newWorld(t, processes()["two cores, fast store"])
	w.run(5*time.Second, offer{rate: 20_000})
	w.until(w.now + 10*time.Minute)
	w.answered = answered{}
	for range 500 {
		w.come(&request{class: Start})
	}
	if saw := w.run(time.Second); saw.refused > 0 {
		t.Errorf("%d of a burst were refused", saw.refused)
	}
}
