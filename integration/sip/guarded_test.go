package sip

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// newGuarded is newWorld as a company runs it: dibs on Postgres, and NATS with the
// configuration of docs/nats-permissions, where the proxy may report calls and
// nothing else.
func newGuarded(t *testing.T, people, clients, lease int) *world {
	t.Helper()
	w := emptyWorld(t, harness.Store{DatabaseURL: pgtest.EmptyURL(t)})
	seed, public, err := natstest.NewNKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, floor7, err := natstest.NewNKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w.nats.File = filepath.Join("..", "..", "docs", "nats-permissions", "nats-server.conf")
	w.nats.Env = []string{"DIBS_NKEY=" + public, "FLOOR7_NKEY=" + floor7, "KAMAILIO_PASSWORD=sip-secret", "DIALER_PASSWORD=dial-secret",
		"DASHBOARD_PASSWORD=look-secret", "OPERATOR_PASSWORD=ops-secret", "SYS_PASSWORD=sys-secret"}
	w.startNATS()
	w.sign = []string{"--nats-url", w.nats.URL(), "--nats-nkey", seed}
	w.told = strings.Replace(w.nats.URL(), "nats://", "nats://kamailio:sip-secret@", 1)
	w.open(people, clients, lease)
	t.Cleanup(func() {
		for who, said := range map[string]string{"dibs": w.server.Stderr(), "the proxy": w.kamailio.output()} {
			if strings.Contains(strings.ToLower(said), "permissions violation") {
				t.Errorf("%s lacks a permission:\n%s", who, said)
			}
		}
	})
	return w
}

// TestGuardedCalls: what the proxy tells arrives where it may tell just that, and a
// claim on Postgres is one like any other.
func TestGuardedCalls(t *testing.T) {
	t.Parallel()
	w := newGuarded(t, 4, 4, lease)
	for _, tt := range []struct {
		name string
		test func(*testing.T, *world)
	}{
		{"two at once", twoAtOnce}, {"cancelled", cancelled}, {"refused by the callee", refusedByCallee},
		{"one user, two calls", oneUserTwoCalls}, {"released by an administrator", released},
		{"let through while dibs is away", letThrough}, // the last: live events do not outlive a restart
	} {
		if t.Run(tt.name, func(t *testing.T) { tt.test(t, w) }) {
			w.nothingLeft()
		}
	}
}

// A call that went through without a claim begins in dibs by what the proxy
// reports, and ends by it.
func letThrough(t *testing.T, w *world) {
	w.callee(t, "answer")
	w.down()
	w.kamcmd("pv.shvSet", "fail_open", "int", "1")
	p := w.call(t, email(0), number(0))
	if got := p.settled(t); got != "answered" {
		t.Errorf("dibs is away, calls are to go through: %q", got)
	}
	w.kamcmd("pv.shvSet", "fail_open", "int", "0")
	w.serve(w.server.Addr)
	within(t, patience, "dibs to take note", func() bool { return len(w.onCall()) == 1 })
	p.press(t)
	p.until(t, "over")
	within(t, patience, "its end", func() bool { return len(w.onCall()) == 0 })
}
