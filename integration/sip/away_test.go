package sip

import (
	"strings"
	"testing"
)

// TestDibsAway: while dibs is away calls are refused, or go through, as the
// operator wants it, and dibs takes note of those that went through.
func TestDibsAway(t *testing.T) {
	t.Parallel()
	takesLong(t)
	const lease = 12 // longer than a restart takes
	w := newWorld(t, 4, 4, lease)
	w.callee(t, "answer")
	w.down()
	if got := w.call(t, email(0), number(0)).settled(t); got != `refused 503 SIP;cause=503;text="unavailable"` {
		t.Errorf("dibs is away, calls are to be refused: %q", got)
	}

	w.kamcmd("pv.shvSet", "fail_open", "int", "1")
	first := w.call(t, email(0), number(0))
	if got := first.settled(t); got != "answered" {
		t.Errorf("dibs is away, calls are to go through: %q", got)
	}
	w.kamcmd("pv.shvSet", "fail_open", "int", "0")
	w.serve(w.server.Addr)
	within(t, patience, "dibs to take note", func() bool {
		on := w.onCall()
		return len(on) == 1 && on[0].Email == email(0)
	})
	within(t, patience, "the proxy to ask again", func() bool {
		return w.call(t, email(1), number(0)).settled(t) == "refused 486 "+beingCalled
	})
	first.press(t)
	first.until(t, "over")
	w.nothingLeft()
	next := w.call(t, email(1), number(0))
	if got := next.settled(t); got != "answered" {
		t.Errorf("after the BYE: %q", got)
	}

	// A restart that is shorter than the lease ends no call.
	w.down()
	w.serve(w.server.Addr)
	w.outlives(t, beyond(lease))
	next.press(t)
	next.until(t, "over")
	w.nothingLeft()
}

// down stops dibs.
func (w *world) down() {
	w.t.Helper()
	if code, _ := w.server.Terminate(patience); code != 0 {
		w.t.Errorf("dibs ended with %d", code)
	}
}

// TestProxyKilled: what a proxy held that is gone is released by its leases.
func TestProxyKilled(t *testing.T) {
	t.Parallel()
	takesLong(t)
	w := newWorld(t, 2, 2, lease)
	w.callee(t, "answer")
	w.call(t, email(0), number(0)).until(t, "answered")
	w.call(t, email(1), number(1)).until(t, "answered")
	w.kamailio.kill()
	w.ended(t, "expired", "")
}

// TestHostileNumbers: what stands in a request URI is data, and not JSON.
func TestHostileNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 2, lease)
	w.callee(t, "answer")
	for _, to := range []string{
		`x","client_phone":"` + number(0), `%22,%22client_phone%22:%22` + number(0), `'$var(body)'`, `\`, strings.Repeat("9", 200),
	} {
		p := w.call(t, email(0), to)
		within(t, patience, "an end to it", func() bool {
			_, ended := p.ended()
			return ended || p.last() == "answered" || strings.HasPrefix(p.last(), "refused")
		})
		if on := w.onCall(); len(on) != 0 {
			t.Errorf("%s: on call: %+v", to, on)
		}
		p.kill()
	}
	p := w.call(t, email(0), number(0))
	p.until(t, "answered")
	p.press(t)
	p.until(t, "over")
	w.nothingLeft()
}
