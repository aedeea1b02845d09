package sip

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/client"
	"github.com/dibs-calls/dibs/integration/harness"
)

const beingCalled = `SIP;cause=486;text="client_being_called"`

func TestCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10, 10, lease)
	for _, tt := range []struct {
		name string
		test func(*testing.T, *world)
		long bool
	}{
		{"two at once", twoAtOnce, false}, {"cancelled", cancelled, false}, {"refused by the callee", refusedByCallee, false},
		{"nobody at the gateway", noGateway, true}, {"one user, two calls", oneUserTwoCalls, false},
		{"not a client", notAClient, false}, {"not a user", notAUser, false}, {"extension", extension, false},
		{"vanished", vanished, false}, {"vanished while it rings", vanishedRinging, true},
		{"released by an administrator", released, false},
	} {
		if tt.long && testing.Short() {
			continue
		}
		if !t.Run(tt.name, func(t *testing.T) { tt.test(t, w) }) {
			continue
		}
		w.nothingLeft()
	}
}

// Two callers dial one client together: one gets through, the other is told
// why not, and gets through after the BYE.
func twoAtOnce(t *testing.T, w *world) {
	w.callee(t, "answer")
	a, b := w.call(t, email(0), number(0)), w.call(t, email(1), "(202)555-0000")
	winner, loser, again := a, b, 1
	if a.settled(t) != "answered" {
		winner, loser, again = b, a, 0
	}
	if got := winner.settled(t); got != "answered" {
		t.Errorf("the one got %q", got)
	}
	if got := loser.settled(t); got != "refused 486 "+beingCalled {
		t.Errorf("the other got %q", got)
	}
	if on := w.onCall(); len(on) != 1 || on[0].Client == nil || on[0].Client.Phone != number(0) || on[0].Email == email(again) {
		t.Errorf("on call: %+v", on)
	}
	winner.press(t)
	winner.until(t, "over")
	within(t, patience, "the end of the call", func() bool { return len(w.onCall()) == 0 })
	second := w.call(t, email(again), number(0))
	if got := second.settled(t); got != "answered" {
		t.Errorf("after the BYE: %q", got)
	}
	second.press(t)
	second.until(t, "over")
}

func cancelled(t *testing.T, w *world) {
	w.callee(t, "ring")
	p := w.call(t, email(0), number(0))
	p.until(t, "ringing")
	if got := w.call(t, email(1), number(0)).settled(t); got != "refused 486 "+beingCalled {
		t.Errorf("while it rings, another one got %q", got)
	}
	p.press(t)
	p.until(t, "cancelled")
	w.ended(t, "completed", "no_answer")
}

func refusedByCallee(t *testing.T, w *world) {
	w.callee(t, "refuse")
	if got := w.call(t, email(0), number(0)).settled(t); !strings.HasPrefix(got, "refused 603") {
		t.Errorf("%q", got)
	}
	w.ended(t, "completed", "no_answer")
}

func noGateway(t *testing.T, w *world) {
	if got := w.call(t, email(0), number(0)).settled(t); !strings.HasPrefix(got, "refused 408") && !strings.HasPrefix(got, "refused 503") {
		t.Errorf("%q", got)
	}
	w.ended(t, "completed", "no_answer")
}

// ended waits until all calls are over and looks how the last one ended.
func (w *world) ended(t *testing.T, reason, disposition string) {
	t.Helper()
	within(t, patience, "the end of the call", func() bool {
		return len(w.onCall()) == 0 && len(w.calls(client.CallEnded)) == len(w.calls(client.CallStarted))
	})
	all := w.calls(client.CallEnded)
	if last := all[len(all)-1]; last.Reason != reason || last.Disposition != disposition {
		t.Errorf("the call ended with %q, %q; want %q, %q", last.Reason, last.Disposition, reason, disposition)
	}
}

func oneUserTwoCalls(t *testing.T, w *world) {
	w.callee(t, "answer")
	first := w.call(t, email(0), number(0))
	first.until(t, "answered")
	if got := w.call(t, email(0), number(1)).settled(t); got != `refused 486 SIP;cause=486;text="user_on_call"` {
		t.Errorf("a second call got %q", got)
	}
	first.press(t)
	first.until(t, "over")
}

// A number that no client has is none of dibs's business.
func notAClient(t *testing.T, w *world) {
	w.callee(t, "answer")
	for _, number := range []string{"+12025559999", "4711"} {
		p := w.call(t, email(0), number)
		p.until(t, "answered")
		if on := w.onCall(); len(on) != 0 {
			t.Errorf("%s: on call: %+v", number, on)
		}
		p.press(t)
		p.until(t, "over")
	}
}

func notAUser(t *testing.T, w *world) {
	w.callee(t, "answer")
	if got := w.call(t, "stranger@example.com", number(0)).settled(t); got != `refused 403 SIP;cause=403;text="user_not_found"` {
		t.Errorf("%q", got)
	}
}

// Who is calling may stand in the table of extensions.
func extension(t *testing.T, w *world) {
	file := filepath.Join(w.dir, "kamailio", "db", "dibs_users")
	table, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(table)+"299:0:0:"+email(3)+":0\n")
	w.kamcmd("htable.reload", "users")
	w.callee(t, "answer")
	p := w.call(t, "299@pbx.example.net", number(0))
	p.until(t, "answered")
	if on := w.onCall(); len(on) != 1 || on[0].Email != email(3) {
		t.Errorf("on call: %+v", on)
	}
	p.press(t)
	p.until(t, "over")
}

// A caller that is there keeps the claim for longer than the lease; one that
// vanishes without a BYE loses it by the lease, and the callee's side is hung up.
func vanished(t *testing.T, w *world) {
	callee := w.callee(t, "answer")
	p := w.call(t, email(0), number(0))
	p.until(t, "answered")
	w.outlives(t, beyond(lease))
	p.kill()
	w.ended(t, "expired", "")
	callee.until(t, "hung up")
	next := w.call(t, email(1), number(0))
	if got := next.settled(t); got != "answered" {
		t.Errorf("the next caller got %q", got)
	}
	next.press(t)
	next.until(t, "over")
}

// beyond is an age that a call with a lease in seconds reaches only if it is
// renewed: the store adds a quarter to a lease.
func beyond(lease int) time.Duration { return time.Duration(lease) * time.Second * 3 / 2 }

// outlives waits until the one call has gone on for that long.
func (w *world) outlives(t *testing.T, age time.Duration) {
	t.Helper()
	within(t, age+patience, "the call to go on", func() bool {
		on := w.onCall()
		if len(on) != 1 {
			t.Fatalf("on call: %+v", on)
		}
		return w.serverNow().Sub(*on[0].CallStartedAt) > age
	})
}

func vanishedRinging(t *testing.T, w *world) {
	callee := w.callee(t, "ring")
	p := w.call(t, email(0), number(0))
	p.until(t, "ringing")
	w.outlives(t, beyond(lease))
	p.kill()
	w.ended(t, "expired", "")
	callee.until(t, "cancelled")
}

// A claim that an administrator releases takes the call with it.
func released(t *testing.T, w *world) {
	w.callee(t, "answer")
	p := w.call(t, email(0), number(0))
	p.until(t, "answered")
	on := w.onCall()
	if len(on) != 1 {
		t.Fatalf("on call: %+v", on)
	}
	harness.Must(t, http.StatusOK)(w.api.Do(t.Context(), http.MethodDelete,
		"/api/user-status/"+on[0].ID.String()+"/call", map[string]string{"reason": "the client asked for it"}))
	p.until(t, "hung up")
	w.ended(t, "force_released", "")
}
