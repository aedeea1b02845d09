package main

import (
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/transport/natsapi"
)

func TestDeadWithoutAServer(t *testing.T) {
	sh := newShell(t)
	for _, args := range []string{"list", "list --json", "show 1", "retry 1", "drop --all"} {
		r := sh.want(exitUnavailable, append([]string{"dead"}, strings.Fields(args)...)...)
		has(t, r.stderr, "no server is running", "--nats-url")
	}
	address := harness.FreeAddr(t) // nobody listens there
	for _, url := range []string{
		"nats://ana:secret@" + address, "nats://ana:secret%zz@" + address, "nats://ana:se/secret@" + address,
		"nats://ana:secret\x7f@" + address, "nats://[ana:secret@" + address, "nats://ok.invalid:1,nats://ana:sec ret@" + address,
	} {
		r := sh.want(exitUnavailable, "dead", "list", "--nats-url", url)
		has(t, r.stderr, "NATS")
		if strings.Contains(r.stdout+r.stderr, "sec") {
			t.Errorf("the password is told: %s", r.stderr)
		}
	}
	sh.want(exitOK, "dead") // its help
}

func TestDeadIsUsedWrongly(t *testing.T) {
	sh := newShell(t)
	for _, args := range []string{
		"list x", "list --limit 0", "show", "show x", "show 0", "show 1 2", "retry", "drop", "retry -- -1", "retry 1 --all",
		"drop 1 --reason malformed", "retry 99999999999999999999", "burn 1",
	} {
		sh.want(exitUsage, append([]string{"dead"}, strings.Fields(args)...)...)
	}
}

func TestLettersAreShownSafely(t *testing.T) {
	var out strings.Builder
	c := &cli{stdout: &out, stderr: &out}
	l := natsapi.DeadLetter{Seq: 7, Subject: "dibs.ingest.\x1b[2J", Reason: "malformed", Error: "why\x07\u202e", Event: []byte("\x1b[31mred\x00")}
	if err := c.printLetter(l); err != nil {
		t.Fatal(err)
	}
	if err := c.printLetters([]natsapi.DeadLetter{l}, 2, false); err != nil {
		t.Fatal(err)
	}
	l.Event = []byte(`{"a":"1` + "\u009b31m\u202e\x7f" + `","b":[1,2]}`)
	if err := c.printLetter(l); err != nil {
		t.Fatal(err)
	}
	has(t, out.String(), "{\n  \"a\": \"1\ufffd31m\ufffd\ufffd\",\n  \"b\": [\n    1,\n    2\n  ]\n}\n")
	l.Event = []byte("\x1b[31mred\x00")
	if strings.ContainsAny(out.String(), "\u009b\x7f\x1b\x07\x00\u202e") {
		t.Errorf("control characters reach the terminal: %q", out.String())
	}
	has(t, out.String(), "1 of 2 dead letters", "red")
	out.Reset()
	if err := c.printLetters([]natsapi.DeadLetter{l, {Seq: 8, Event: []byte(`{"a":1}`)}}, 2, true); err != nil {
		t.Fatal(err)
	}
	has(t, out.String(), `"event_base64": "G1szMW1yZWQA"`, `"a": 1`)
}
