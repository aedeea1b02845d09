package natsapi

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// receivedMsg is a message as it comes from a stream, for reading only.
type receivedMsg struct{ msg *nats.Msg }

func (m receivedMsg) Metadata() (*jetstream.MsgMetadata, error) { return nil, errNotHere }
func (m receivedMsg) Data() []byte                              { return m.msg.Data }
func (m receivedMsg) Headers() nats.Header                      { return m.msg.Header }
func (m receivedMsg) Subject() string                           { return m.msg.Subject }
func (m receivedMsg) Reply() string                             { return "" }
func (m receivedMsg) Ack() error                                { return errNotHere }
func (m receivedMsg) DoubleAck(context.Context) error           { return errNotHere }
func (m receivedMsg) Nak() error                                { return errNotHere }
func (m receivedMsg) NakWithDelay(time.Duration) error          { return errNotHere }
func (m receivedMsg) InProgress() error                         { return errNotHere }
func (m receivedMsg) Term() error                               { return errNotHere }
func (m receivedMsg) TermWithReason(string) error               { return errNotHere }

func metaOf(seq uint64) *jetstream.MsgMetadata {
	return &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Stream: seq}, NumDelivered: 1, Timestamp: time.Unix(0, 1)}
}

// withLetters is a bus with n dead letters, and an engine that takes what is
// retried.
func withLetters(t *testing.T, cfg Config, n int) (*Bus, *reportTaker) {
	t.Helper()
	bus := open(t, cfg)
	f := newTaker()
	ingesting(t, bus, f)
	for i := range n {
		publish(t, bus, IngestEnded, strings.Replace(endOf(aUser, i), `"user_id"`, `"user_name"`, 1), "X-Trunk", "7")
	}
	waitFor(t, soon, "all events are dead letters", func() bool { return left(t, bus) == 0 })
	return bus, f
}

func TestDeadLettersAreWorkedOff(t *testing.T) {
	dir := t.TempDir()
	bus, f := withLetters(t, inProcess(t, dir), 5)
	d, err := OpenDeadLetters(Config{Embedded: EmbeddedConfig{Dir: dir}}) // as another process does
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	all := letters(t, bus)
	if len(all) != 5 || all[0].Reason != ReasonMalformed || all[0].Seq != 1 || all[4].Seq != 5 {
		t.Fatalf("letters: %+v", all)
	}
	first, err := d.Get(t.Context(), 1)
	if err != nil || first.Error != all[0].Error || !strings.Contains(first.Error, "user_id") {
		t.Fatalf("letter 1: %+v, %v", first, err)
	}
	if err := d.Drop(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"drop": d.Drop(t.Context(), 1), "get": second(d.Get(t.Context(), 1)), "get 99": second(d.Get(t.Context(), 99))} {
		if !errors.Is(err, ErrNoDeadLetter) {
			t.Errorf("%s of what is not there: %v", what, err)
		}
	}
	// Retried as it is, it comes back; put right by whoever is at fault, it would
	// not.
	letter, err := d.Get(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Retry(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	waitFor(t, soon, "the retried event comes back", func() bool {
		return left(t, bus) == 0 && slices.ContainsFunc(letters(t, bus), func(l DeadLetter) bool { return l.Seq == 6 })
	})
	again, err := d.Get(t.Context(), 6)
	if err != nil || string(again.Event) != string(letter.Event) || again.header.Get("X-Trunk") != "7" || len(f.seen()) != 0 {
		t.Errorf("it came back as %+v, %v", again, err)
	}
	seqs := []uint64{}
	total, err := d.Each(t.Context(), func(l DeadLetter) (bool, error) { seqs = append(seqs, l.Seq); return len(seqs) < 3, nil })
	if err != nil || total != 4 || !slices.Equal(seqs, []uint64{3, 4, 5}) {
		t.Errorf("%v of %d, %v", seqs, total, err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestRetriedEventIsApplied: once its user is there.
func TestRetriedEventIsApplied(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	ingesting(t, bus, f)
	publish(t, bus, IngestEnded, cloud("call.ended", "1", `{"user_email":"ana@example.com","call_ref":"7","occurred_at":"2026-03-04T05:06:07Z"}`))
	waitFor(t, soon, "it is a dead letter", func() bool { return left(t, bus) == 0 && len(letters(t, bus)) == 1 })
	f.set(func() { f.users["ana@example.com"] = aUser })
	d := &DeadLetters{js: bus.js}
	if err := d.Retry(t.Context(), letters(t, bus)[0]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, soon, "it is applied", func() bool { return left(t, bus) == 0 && len(f.seen()) == 1 })
	if n := len(letters(t, bus)); n != 0 {
		t.Errorf("%d letters are left", n)
	}
}

// TestLettersThatCannotBeWritten: an event stays in the ingest stream until its
// letter is on stable storage.
func TestLettersThatCannotBeWritten(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	_, err := bus.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: DeadStreamName, Subjects: []string{deadSubject}, MaxMsgs: 1, Discard: jetstream.DiscardNew,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := newTaker()
	ingesting(t, bus, f)
	publish(t, bus, IngestStarted, "one")
	publish(t, bus, IngestStarted, "two")
	publish(t, bus, IngestStarted, startOf(aUser, 1))
	waitFor(t, soon, "the good one is applied", func() bool { return len(f.seen()) == 1 })
	waitFor(t, soon, "one is a dead letter", func() bool { return left(t, bus) == 1 && len(letters(t, bus)) == 1 })
	d := &DeadLetters{js: bus.js}
	if err := d.Drop(t.Context(), letters(t, bus)[0].Seq); err != nil {
		t.Fatal(err)
	}
	waitFor(t, soon, "the other one is", func() bool { return left(t, bus) == 0 && len(letters(t, bus)) == 1 })
}

func TestNoServerToAsk(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenDeadLetters(Config{Embedded: EmbeddedConfig{Dir: dir}}); !errors.Is(err, ErrNoServer) {
		t.Errorf("an empty folder: %v", err)
	}
	bus := open(t, inProcess(t, dir))
	closeBus(t, bus)
	if _, err := OpenDeadLetters(Config{Embedded: EmbeddedConfig{Dir: dir}}); !errors.Is(err, ErrNoServer) {
		t.Errorf("the folder of a server that stopped: %v", err)
	}
}

// TestControlSocket: commands reach the server whatever the folder is called,
// with its token, after it was killed and while others are connected.
func TestControlSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	cfg := inProcess(t, dir)
	cfg.Embedded.Listen, cfg.Embedded.Token = "127.0.0.1:0", "sesame"
	bus := open(t, cfg)
	ingesting(t, bus, newTaker())
	for range 3 {
		d, err := OpenDeadLetters(Config{Embedded: EmbeddedConfig{Dir: dir, Token: "sesame"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		if n, err := d.Each(t.Context(), nil); n != 0 || err != nil {
			t.Errorf("%d letters, %v", n, err)
		}
	}
	if _, err := OpenDeadLetters(Config{Embedded: EmbeddedConfig{Dir: dir}}); err == nil {
		t.Error("it can be reached without the token")
	}
}

// TestStaleSocket: a process that was killed leaves its socket behind.
func TestStaleSocket(t *testing.T) {
	dir := t.TempDir()
	listener, err := listenPrivately(filepath.Join(dir, controlSocket))
	if err != nil {
		t.Fatal(err)
	}
	listener.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDeadLetters(Config{Embedded: EmbeddedConfig{Dir: dir}}); !errors.Is(err, ErrNoServer) {
		t.Errorf("before the next start: %v", err)
	}
	open(t, inProcess(t, dir))
	d, err := OpenDeadLetters(Config{Embedded: EmbeddedConfig{Dir: dir}})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

func TestDeadLettersOfAServerByURL(t *testing.T) {
	s := process(t, "authorization { token: sesame }")
	cfg := configOf(t, s)
	cfg.Auth.Token = "sesame"
	withLetters(t, cfg, 1)
	d, err := OpenDeadLetters(Config{URL: s.URL(), Auth: Auth{Token: "sesame"}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if n, err := d.Each(t.Context(), func(DeadLetter) (bool, error) { return true, nil }); n != 1 || err != nil {
		t.Errorf("%d letters, %v", n, err)
	}
	if _, err := OpenDeadLetters(Config{URL: s.URL(), Auth: Auth{Token: "guess"}}); err == nil {
		t.Error("it can be reached with a wrong token")
	}
}
