package natsapi

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// publishAll publishes the starts of a user's calls.
func publishAll(t testing.TB, bus *Bus, user messages.UserID, calls int) {
	t.Helper()
	for n := range calls {
		if _, err := bus.js.PublishAsync(IngestStarted, []byte(startOf(user, n))); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-bus.js.PublishAsyncComplete():
	case <-time.After(soon):
		t.Fatal("events were published, and not acknowledged")
	}
}

func told(f *reportTaker, user messages.UserID) (n int) {
	for _, r := range f.seen() {
		if userOf(r) == user {
			n++
		}
	}
	return n
}

// TestOneUserDoesNotFillTheHand: a user with more events than a node has in hand,
// whose first one takes for ever, or none of which ever gets an answer, keeps nobody
// else waiting; and when the answers come, all take their effect.
func TestOneUserDoesNotFillTheHand(t *testing.T) {
	t.Parallel()
	for what, answer := range map[string]func(release chan struct{}) messages.Answer{
		"one takes for ever": func(release chan struct{}) messages.Answer { <-release; return messages.Answer{} },
		"none is answered":   func(chan struct{}) messages.Answer { return messages.Answer{Code: messages.CodeOutcomeUnknown} },
	} {
		t.Run(what, func(t *testing.T) {
			const room, events = 4 * lineMost, 5 * lineMost
			release := make(chan struct{})
			let := sync.OnceFunc(func() { close(release) })
			bus := open(t, inProcess(t, t.TempDir()))
			f := newTaker()
			f.answer = func(r any) messages.Answer {
				if userOf(r) == aUser {
					return answer(release)
				}
				return messages.Answer{}
			}
			in := ingestingWith(t, bus, f, room)
			t.Cleanup(let) // before the ingester is stopped
			publishAll(t, bus, aUser, events)
			waitFor(t, soon, "the flood is counted", func() bool { return in.metrics.pending.Load()+in.metrics.unacked.Load() == events })
			other := messages.UserID{UUID: natstest.ID(0x05, 2)}
			publish(t, bus, IngestStarted, startOf(other, 1))
			waitFor(t, soon, "another user's event is told", func() bool { return told(f, other) == 1 })
			f.set(func() { f.answer = nil })
			let()
			waitFor(t, 3*soon, "all events are gone", func() bool { return left(t, bus) == 0 })
			if n := len(letters(t, bus)); n != 0 {
				t.Errorf("%d dead letters", n)
			}
		})
	}
}

// TestLinesKeepTheirOrder: events that find no place in the line of their user
// come again in their order.
func TestLinesKeepTheirOrder(t *testing.T) {
	const calls = 3 * lineMost
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	release := make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	f.answer = func(any) messages.Answer {
		<-release
		return messages.Answer{}
	}
	// What comes when a request has run out is lost, and seen by nobody before others are.
	timing := quickIngest()
	timing.fetchWait = usualIngestTiming().fetchWait
	in := ingestingAt(t, bus, f, inHand, timing)
	t.Cleanup(let)
	publishAll(t, bus, aUser, calls)
	waitFor(t, soon, "some go back", func() bool {
		return testutil.ToFloat64(in.metrics.events.WithLabelValues("postponed")) > 0
	})
	let()
	waitFor(t, soon, "all events are gone", func() bool { return left(t, bus) == 0 })
	for n, r := range f.seen() {
		if id, _ := reportID(r); id != fmt.Sprintf("s-%s-%d", aUser, n) {
			t.Fatalf("%s was told as number %d", id, n)
		}
	}
	if n := len(f.seen()); n != calls {
		t.Errorf("%d of %d were told", n, calls)
	}
}

// TestNeverAnswered: an event that never gets an answer is given up if others get
// theirs meanwhile, and never else: then it may be the store.
func TestNeverAnswered(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	f.answer = func(r any) messages.Answer {
		if userOf(r) == aUser {
			return messages.Answer{Code: messages.CodeOutcomeUnknown}
		}
		return messages.Answer{}
	}
	in := ingesting(t, bus, f)
	publish(t, bus, IngestStarted, startOf(aUser, 1))
	waitFor(t, soon, "it went back more often than it may without an answer", func() bool {
		return testutil.ToFloat64(in.metrics.events.WithLabelValues("postponed")) > float64(in.timing.stuckMost)
	})
	if n := len(letters(t, bus)); n != 0 {
		t.Fatal("it was given up though nobody got an answer")
	}
	other := messages.UserID{UUID: natstest.ID(0x05, 2)}
	n := 0
	waitFor(t, 2*soon, "it is given up", func() bool {
		n++
		// Of another client: those of the same one wait for it, for longer than it is held here.
		publish(t, bus, IngestStarted, strings.Replace(startOf(other, n), aClient.String(), natstest.ID(0xc1, 2).String(), 1))
		return len(letters(t, bus)) == 1
	})
	if l := letters(t, bus)[0]; l.Reason != ReasonInternal || !strings.Contains(string(l.Event), "s-"+aUser.String()) {
		t.Errorf("the letter is %+v", l)
	}
	waitFor(t, soon, "all events are gone", func() bool { return left(t, bus) == 0 })
	if told(f, other) != n {
		t.Errorf("%d of %d of the other user's events were told", told(f, other), n)
	}
}

// TestDeliveriesAreNoTries: how often the server has delivered an event says
// nothing of how often somebody was looked for.
func TestDeliveriesAreNoTries(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	stopIngester(t, ingesting(t, bus, f))
	publish(t, bus, IngestEnded, cloud("call.ended", "1", `{"user_email":"ana@example.com","call_ref":"7","occurred_at":"2026-03-04T05:06:07Z"}`))
	consumer, err := bus.js.Consumer(t.Context(), IngestStreamName, ingestConsumer)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // as a node does that is killed, again and again
		msg, err := consumer.Next(jetstream.FetchMaxWait(soon))
		if err != nil {
			t.Fatal(err)
		}
		if err := msg.Nak(); err != nil {
			t.Fatal(err)
		}
	}
	second := anotherIngester(bus, f, newTestMetrics(t, f))
	second.Start()
	t.Cleanup(func() { stopIngester(t, second) })
	waitFor(t, soon, "it is a dead letter", func() bool { return left(t, bus) == 0 && len(letters(t, bus)) == 1 })
	if n := testutil.ToFloat64(second.metrics.events.WithLabelValues("retried")); n != 2 {
		t.Errorf("it was put back %v times, want 2", n)
	}
}

// TestFullOfDeadLetters: events whose letters cannot be written are in nobody's
// way, and that is said once.
func TestFullOfDeadLetters(t *testing.T) {
	var out lockedBuffer
	cfg := inProcess(t, t.TempDir())
	cfg.Log = slog.New(slog.NewTextHandler(&out, nil))
	bus := open(t, cfg)
	full := jetstream.StreamConfig{Name: DeadStreamName, Subjects: []string{deadSubject}, MaxMsgs: 1, Discard: jetstream.DiscardNew}
	if _, err := bus.js.CreateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	f := newTaker()
	in := ingesting(t, bus, f)
	const poison, good = 50, 20
	for n := range poison {
		publish(t, bus, IngestStarted, fmt.Sprint("poison ", n))
	}
	waitFor(t, soon, "all were tried", func() bool { return in.metrics.unacked.Load() == poison-1 })
	for n := range good {
		publish(t, bus, IngestStarted, startOf(aUser, n))
	}
	waitFor(t, soon, "the good ones are told", func() bool { return told(f, aUser) == good })
	if n := strings.Count(out.String(), "letters cannot be written"); n != 1 {
		t.Errorf("it was said %d times:\n%s", n, out.String())
	}
	full.MaxMsgs = -1
	if _, err := bus.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 3*soon, "all are dead letters", func() bool { return left(t, bus) == 0 && stateOf(t, bus, DeadStreamName) == poison })
	if !strings.Contains(out.String(), "are written again") {
		t.Error("nobody is told that there is room again")
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestStaleStart: a call that began longer ago than ends are remembered is not
// begun, however often it is tried again. Its end does no harm.
func TestStaleStart(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	bus.cfg.Ingest.Remember = 24 * time.Hour
	began := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) // as startOf says
	now := began.Add(24 * time.Hour)
	bus.cfg.Now = func() time.Time { return now }
	f := newTaker()
	in := ingesting(t, bus, f)
	publish(t, bus, IngestStarted, startOf(aUser, 1))
	waitFor(t, soon, "it is told", func() bool { return len(f.seen()) == 1 && left(t, bus) == 0 })
	stopIngester(t, in)

	now = now.Add(time.Second)
	again := anotherIngester(bus, f, in.metrics)
	again.Start()
	t.Cleanup(func() { stopIngester(t, again) })
	publish(t, bus, IngestStarted, startOf(aUser, 2))
	publish(t, bus, IngestEnded, strings.Replace(endOf(aUser, 3), "2026-03-04", "2026-03-01", 1))
	waitFor(t, soon, "both are gone", func() bool { return left(t, bus) == 0 })
	all := letters(t, bus)
	if len(all) != 1 || all[0].Reason != ReasonStale || len(f.seen()) != 2 {
		t.Fatalf("%+v, and %d were told", all, len(f.seen()))
	}
	if err := lettersOf(bus).Retry(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, soon, "it comes back", func() bool {
		back := letters(t, bus)
		return left(t, bus) == 0 && len(back) == 1 && back[0].Seq != all[0].Seq && back[0].Reason == ReasonStale
	})
	if len(f.seen()) != 2 {
		t.Error("the old call was begun")
	}
}

// TestHugeHeaders: an event as large as the server takes has a letter that the
// server takes.
func TestHugeHeaders(t *testing.T) {
	bus := open(t, configOf(t, process(t, "max_payload: 65536")))
	f := newTaker()
	ingesting(t, bus, f)
	long := strings.Repeat("x", 65400)
	publish(t, bus, IngestStarted, "headers", "X-Trunk", long)
	publish(t, bus, IngestStarted, long+" body")
	publish(t, bus, IngestStarted, startOf(aUser, 1), "X-Trunk", long[:64000])
	waitFor(t, soon, "all are gone", func() bool { return left(t, bus) == 0 })
	all := map[string]DeadLetter{}
	for _, l := range letters(t, bus) {
		all[l.header.Get(headerCut)] = l
	}
	if l := all[cutHeaders]; string(l.Event) != "headers" || l.header.Get("X-Trunk") != "" || l.Reason != ReasonMalformed {
		t.Errorf("the letter of huge headers: %+v", l)
	}
	l, body := all[cutBody], len(long)+len(" body")
	if len(l.Event) == 0 || len(l.Event) >= body || l.Reason != ReasonMalformed {
		t.Errorf("the letter of a huge body has %d bytes of %d", len(l.Event), body)
	}
	if err := lettersOf(bus).Retry(t.Context(), l); err == nil || !strings.Contains(err.Error(), "only the beginning") {
		t.Errorf("what is not all there is tried again: %v", err)
	}
	if len(all) != 2 || told(f, aUser) != 1 {
		t.Errorf("%d letters, and the good one was told %d times", len(all), told(f, aUser))
	}
}

// TestSomebodyDeletesIt: the ingester makes its streams and its consumer again.
func TestSomebodyDeletesIt(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	ingesting(t, bus, f)
	for n, remove := range []func() error{
		func() error { return bus.js.DeleteConsumer(t.Context(), IngestStreamName, ingestConsumer) },
		func() error { return bus.js.DeleteStream(t.Context(), DeadStreamName) },
		func() error { return bus.js.DeleteStream(t.Context(), IngestStreamName) },
	} {
		publish(t, bus, IngestStarted, startOf(aUser, 2*n))
		waitFor(t, soon, "the event before is told", func() bool { return len(f.seen()) == 2*n+1 && left(t, bus) == 0 })
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, soon, "the event after is taken", func() bool {
			_, err := bus.js.Publish(t.Context(), IngestStarted, []byte(startOf(aUser, 2*n+1)), jetstream.WithMsgID(fmt.Sprint(n)))
			return err == nil
		})
		waitFor(t, soon, "the event after is told", func() bool { return len(f.seen()) == 2*n+2 })
	}
}

// anotherIngester is that of another node.
func anotherIngester(bus *Bus, f *reportTaker, m *ingestMetrics) *Ingester {
	return &Ingester{
		engine: f, lookup: f, js: bus.js, link: bus.link, cfg: bus.cfg.Ingest, replicas: 1, metrics: m,
		log: bus.log("ingest"), now: bus.cfg.Now, timing: quickIngest(), hand: newHand(inHand), tally: newTally(tallied),
		durable:  &barrier{flush: func() error { return nil }},
		stopping: make(chan struct{}), done: make(chan struct{}),
	}
}

func newTestMetrics(t *testing.T, f *reportTaker) *ingestMetrics {
	t.Helper()
	m, err := newIngestMetrics(inProcess(t, "").Metrics, f.Reachable)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestBarrier: nobody is served by a flush that began before they came, and many
// by one.
func TestBarrier(t *testing.T) {
	const callers = 50
	flushes := 0
	begun, release := make(chan struct{}, callers+1), make(chan struct{})
	fail := errors.New("broken")
	b := &barrier{flush: func() error {
		flushes++ // one at a time
		begun <- struct{}{}
		<-release
		if flushes == 3 {
			return fail
		}
		return nil
	}}
	var all sync.WaitGroup
	all.Go(func() { _ = b.sync() })
	<-begun
	for range callers {
		all.Go(func() { _ = b.sync() })
	}
	waitFor(t, soon, "all have asked", func() bool { return b.asked.Load() == callers+1 })
	close(release)
	all.Wait()
	if flushes != 2 {
		t.Errorf("%d flushes", flushes)
	}
	if err := b.sync(); !errors.Is(err, fail) {
		t.Errorf("a flush that failed: %v", err)
	}
	if err := b.sync(); err != nil || flushes != 4 {
		t.Errorf("the one after it: %v, %d", err, flushes)
	}
}

// TestTallyIsBounded: more events than are kept apart are told so.
func TestTallyIsBounded(t *testing.T) {
	tl := newTally(2)
	now := time.Unix(1, 0)
	of := func(seq uint64) *event { return &event{meta: metaOf(seq)} }
	count := func(h *history) { h.missing++ }
	for seq := range uint64(2) {
		if _, full := tl.note(of(seq), now, count); full {
			t.Error("it is full too early")
		}
	}
	if h, full := tl.note(of(0), now, count); full || h.missing != 2 {
		t.Errorf("one that is known: %+v, %t", h, full)
	}
	if _, full := tl.note(of(7), now, count); !full {
		t.Error("it is not bounded")
	}
	tl.forget(of(0))
	if _, full := tl.note(of(7), now, count); full {
		t.Error("there is room for another one")
	}
	if _, full := tl.note(of(8), now.Add(2*tallyKept), count); full {
		t.Error("what was not seen for long stays")
	}
}
