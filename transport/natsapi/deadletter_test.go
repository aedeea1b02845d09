package natsapi

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
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

// lettersOf are the dead letters as a process sees them that shares the connection.
func lettersOf(bus *Bus) *DeadLetters {
	return &DeadLetters{js: bus.js, denied: context.Background(), within: storeTimeout}
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
	d := lettersOf(bus)
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
	d := lettersOf(bus)
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

// TestSocketOfSomebodyElse: where everybody may make folders, one with the name of
// ours can be another user's.
func TestSocketOfSomebodyElse(t *testing.T) {
	dir, theirs := t.TempDir(), "/" // is root's
	if os.Geteuid() == 0 {
		theirs = t.TempDir()
		if err := os.Chown(theirs, 12345, -1); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(theirs, controlSocket), filepath.Join(dir, controlSocket)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDeadLetters(Config{Embedded: EmbeddedConfig{Dir: dir}}); err == nil || !strings.Contains(err.Error(), "somebody else's") {
		t.Errorf("it is trusted: %v", err)
	}
}

// poorListener fails, and is closed when it is asked again.
type poorListener struct {
	net.Listener
	asked int
}

func (l *poorListener) Accept() (net.Conn, error) {
	if l.asked++; l.asked == 1 {
		return nil, syscall.EMFILE
	}
	return nil, net.ErrClosed
}

// TestSocketOutlivesFailures: too many open files are no reason to be deaf for
// ever.
func TestSocketOutlivesFailures(t *testing.T) {
	t.Parallel()
	l := &poorListener{}
	c := &control{listener: l, log: logger(t), closing: make(chan struct{})}
	c.accept()
	if l.asked != 2 {
		t.Errorf("it was asked %d times", l.asked)
	}
	l.asked = 0
	close(c.closing)
	c.accept() // ends at once
}

// TestDeadWithoutPermission: a server that does not permit something does not
// answer, and says so aside.
func TestDeadWithoutPermission(t *testing.T) {
	s := process(t, `authorization { users: [
		{ user: dibs, password: all }
		{ user: half, password: some, permissions: { publish: ["$JS.API.>"], subscribe: ["_INBOX.>"] } }
		{ user: none, password: none, permissions: { publish: ["x"], subscribe: ["_INBOX.>"] } }
	] }`)
	cfg := configOf(t, s)
	cfg.Auth.User, cfg.Auth.Password = "dibs", "all"
	withLetters(t, cfg, 1)
	for user, password := range map[string]string{"half": "some", "none": "none"} {
		d, err := OpenDeadLetters(Config{URL: s.URL(), Auth: Auth{User: user, Password: password}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		d.within = time.Hour // it must not need it
		l, err := d.Get(t.Context(), 1)
		if user == "half" {
			if err != nil {
				t.Fatal(err)
			}
			err = d.Retry(t.Context(), l)
		}
		if !errors.Is(err, ErrNotPermitted) || !strings.Contains(err.Error(), "Publish") {
			t.Errorf("%s: %v", user, err)
		}
	}
}

// TestLettersVanishWhileTheyAreRead: whoever lists them is not left waiting for
// what somebody else has dropped.
func TestLettersVanishWhileTheyAreRead(t *testing.T) {
	t.Parallel()
	bus := open(t, inProcess(t, t.TempDir()))
	ingesting(t, bus, newTaker())
	waitFor(t, soon, "the stream is there", func() bool {
		_, err := bus.js.Stream(t.Context(), DeadStreamName)
		return err == nil
	})
	for n := range 2 * readAhead {
		if _, err := bus.js.PublishMsgAsync(&nats.Msg{Subject: deadPrefix + "x", Data: []byte(strconv.Itoa(n))}); err != nil {
			t.Fatal(err)
		}
	}
	<-bus.js.PublishAsyncComplete()
	d := lettersOf(bus)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	seen := 0
	total, err := d.Each(ctx, func(DeadLetter) (bool, error) {
		if seen++; seen > 1 {
			return true, nil
		}
		stream, err := bus.js.Stream(ctx, DeadStreamName)
		if err != nil {
			return false, err
		}
		err = stream.Purge(ctx)
		d.within = 2 * time.Second // what does not come is waited for so long
		return true, err
	})
	if err != nil || total != 2*readAhead || seen == total {
		t.Errorf("%d of %d, %v", seen, total, err)
	}
}

// TestLetterIsKeptFirst: an event is let go only when its letter is on stable
// storage.
func TestLetterIsKeptFirst(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	stopIngester(t, ingesting(t, bus, f))
	var broken atomic.Bool
	broken.Store(true)
	in := anotherIngester(bus, f, newTestMetrics(t, f))
	in.durable.flush = func() error {
		if broken.Load() {
			return syscall.EIO
		}
		return nil
	}
	in.Start()
	t.Cleanup(func() { stopIngester(t, in) })
	publish(t, bus, IngestStarted, "poison")
	waitFor(t, soon, "it is tried again", func() bool { return in.durable.asked.Load() > 1 })
	if left(t, bus) != 1 || stateOf(t, bus, DeadStreamName) != 1 {
		t.Error("the event was let go before its letter is kept, or has several")
	}
	broken.Store(false)
	waitFor(t, soon, "the event is let go", func() bool { return left(t, bus) == 0 })
}
