package natsapi

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// windowOf is how long a stream knows duplicates.
func windowOf(t *testing.T, bus *Bus, name string) time.Duration {
	t.Helper()
	stream, err := bus.js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config.Duplicates
}

// TestServicesThatCountAlike: events of two services that have the same Nats-Msg-Id
// are two.
func TestServicesThatCountAlike(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	ingesting(t, bus, f)
	publish(t, bus, IngestStarted, startOf(aUser, 1), jetstream.MsgIDHeader, "1")
	waitFor(t, soon, "the other service's event is kept", func() bool {
		ack, err := bus.js.PublishMsg(t.Context(), &nats.Msg{
			Subject: IngestStarted, Data: []byte(startOf(aUser, 2)), Header: nats.Header{jetstream.MsgIDHeader: {"1"}},
		})
		return err == nil && !ack.Duplicate
	})
	waitFor(t, soon, "both are told", func() bool { return told(f, aUser) == 2 })
}

// TestWindowsAreShortened: the duplicate windows that nobody chose become those that
// are needed; one that somebody chose stays.
func TestWindowsAreShortened(t *testing.T) {
	var out lockedBuffer
	cfg := inProcess(t, t.TempDir())
	cfg.Log = slog.New(slog.NewTextHandler(&out, nil))
	bus := open(t, cfg)
	makeStream := func(want jetstream.StreamConfig) {
		t.Helper()
		if _, err := bus.js.CreateStream(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	makeStream(jetstream.StreamConfig{
		Name: IngestStreamName, Subjects: []string{ingestSubject}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
	})
	makeStream(jetstream.StreamConfig{
		Name: DeadStreamName, Subjects: []string{deadSubject}, Discard: jetstream.DiscardNew, Duplicates: 5 * time.Minute,
	})
	f := newTaker()
	in := ingesting(t, bus, f)
	publish(t, bus, IngestStarted, startOf(aUser, 1))
	waitFor(t, soon, "an event is told", func() bool { return told(f, aUser) == 1 })
	stopIngester(t, in)
	if got := windowOf(t, bus, IngestStreamName); got != ingestWindow {
		t.Errorf("duplicates of events are known for %s", got)
	}
	if got := windowOf(t, bus, DeadStreamName); got != 5*time.Minute {
		t.Errorf("duplicates of letters are known for %s", got)
	}
	if strings.Contains(out.String(), "may lose some") {
		t.Errorf("there is nothing to say:\n%s", out.String())
	}
}

// TestStreamsThatLose: of a stream that an operator made in a way that can lose
// events, it is said why.
func TestStreamsThatLose(t *testing.T) {
	var out lockedBuffer
	cfg := inProcess(t, t.TempDir())
	cfg.Log = slog.New(slog.NewTextHandler(&out, nil))
	bus := open(t, cfg)
	_, err := bus.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: IngestStreamName, Subjects: []string{ingestSubject}, MaxAge: time.Hour, Storage: jetstream.MemoryStorage,
		Duplicates: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	ingesting(t, bus, newTaker())
	for _, why := range []string{"memory", "drops the oldest", "by age", "retention", "Nats-Msg-Id"} {
		if n := strings.Count(out.String(), why); n != 1 {
			t.Errorf("%q is said %d times:\n%s", why, n, out.String())
		}
	}
}
