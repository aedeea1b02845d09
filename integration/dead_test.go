package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// TestDeadLettersByCommand: what cannot be applied is listed, shown, retried and
// dropped from the command line beside the running server, with the NATS inside
// the process and with one by URL.
func TestDeadLettersByCommand(t *testing.T) {
	t.Run("inside", func(t *testing.T) {
		d := onSQLite(t)
		listen := harness.FreeAddr(t)
		s := d.Serve(t, "--nats-listen", listen)
		s.WaitReady(readyLimit)
		workOff(t, d, "nats://"+listen)
	})
	t.Run("by URL", func(t *testing.T) {
		bin, err := natstest.Build(t.Context(), t.TempDir())
		must(t, err)
		nats := startNATS(t, bin)
		d := harness.Dibs{Binary: tools.dibs, Env: []string{"DIBS_NATS_URL=" + nats.URL()}}
		d.Store = harness.Store{DataDir: t.TempDir(), DatabaseURL: pgtest.EmptyURL(t)}
		s := d.Serve(t)
		s.WaitReady(readyLimit)
		workOff(t, d, nats.URL())
	})
}

func workOff(t *testing.T, d harness.Dibs, url string) {
	b := connectNATS(t, url)
	waitFor(t, readyLimit, "the ingest stream", func() bool {
		_, err := b.Stream(t.Context(), "DIBS_INGEST")
		return err == nil
	})
	list := func(args ...string) (all []struct {
		Seq         int             `json:"seq"`
		Reason      string          `json:"reason"`
		Event       json.RawMessage `json:"event"`
		EventBase64 string          `json:"event_base64"`
	}) {
		t.Helper()
		out := d.MustRun(t, append([]string{"dead", "list", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &all); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return all
	}
	if got := list(); len(got) != 0 {
		t.Fatalf("dead letters at the start: %+v", got)
	}
	ended := func(n int) []byte {
		return fmt.Appendf(nil, `{"specversion":"1.0","id":"e%d","source":"/pbx","type":"call.ended",
			"data":{"user_id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","call_ref":"%d","occurred_at":"yesterday"}}`, n, n)
	}
	for _, r := range []report{ // one after the other, which gives the letters an order
		{"dibs.ingest.call.started", []byte("\x1b[31m")}, {"dibs.ingest.call.ended", ended(1)}, {"dibs.ingest.call.ended", ended(2)},
	} {
		b.publish(t, []report{r}, nil)
		waitFor(t, readyLimit, "it to be given up", func() bool { return b.left(t) == 0 })
	}
	all := list("--reason", "malformed")
	if len(all) != 3 || all[0].EventBase64 == "" || !strings.Contains(string(all[1].Event), "yesterday") {
		t.Fatalf("dead letters: %+v", all)
	}
	if got := list("--reason", "user_not_found"); len(got) != 0 {
		t.Errorf("of another reason: %+v", got)
	}
	contains(t, d.MustRun(t, "dead", "list", "--limit", "2"), "NUMBER", "malformed", "occurred_at")
	contains(t, d.MustRun(t, "dead", "show", fmt.Sprint(all[1].Seq)), "dibs.ingest.call.ended", "yesterday", "at try 1")

	contains(t, d.MustRun(t, "dead", "drop", fmt.Sprint(all[0].Seq)), "dropped 1")
	if p, code := d.Run(t, "dead", "drop", fmt.Sprint(all[0].Seq), fmt.Sprint(all[1].Seq)); code != 3 || !strings.Contains(p.Stderr(), "there is no dead letter") {
		t.Errorf("one of two is gone: exit code %d, %s", code, p.Stderr())
	}
	if _, code := d.Run(t, "dead", "show", "99"); code != 1 {
		t.Errorf("one that never was: exit code %d", code)
	}
	contains(t, d.MustRun(t, "dead", "retry", "--all"), "retried 1")
	waitFor(t, readyLimit, "it to be given up again", func() bool { return b.left(t) == 0 && len(list()) == 1 })
	if again := list(); again[0].Seq == all[2].Seq {
		t.Errorf("the retried letter is still there")
	}
	contains(t, d.MustRun(t, "dead", "drop", "--all"), "dropped 1")
	if got := list(); len(got) != 0 {
		t.Errorf("after all were dropped: %+v", got)
	}

	// A call of which it is not known any more whether it has ended.
	b.publish(t, []report{{"dibs.ingest.call.started", []byte(`{"specversion":"1.0","id":"old","source":"/pbx","type":"call.started",
		"data":{"user_id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","client_id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8",
		"call_ref":"old","occurred_at":"2020-03-04T05:06:07Z"}}`)}}, nil)
	waitFor(t, readyLimit, "it to be given up", func() bool { return b.left(t) == 0 && len(list("--reason", "stale")) == 1 })
	contains(t, d.MustRun(t, "dead", "show", fmt.Sprint(list()[0].Seq)), "--ingest-remember", "at try 1")
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in %s", part, text)
		}
	}
}
