package natsapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

func TestIngestTellsTheEngine(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	f.users["ana@example.com"] = aUser
	f.clients["+12025550123"] = []messages.ClientID{aClient}
	bus.cfg.Ingest.Region = "US"
	in := ingesting(t, bus, f)
	publish(t, bus, IngestStarted, cloud("call.started", "1",
		`{"user_email":"Ana@example.com","client_phone":"(202) 555-0123","call_ref":"7","occurred_at":"2026-03-04T06:06:07.0000019+01:00","lease_seconds":90}`))
	publish(t, bus, IngestEnded, cloud("call.ended", "2",
		`{"user_email":"ana@example.com","client_phone":"nonsense","call_ref":"7","occurred_at":"2026-03-04T05:07:07Z","disposition":" sale "}`))
	waitFor(t, soon, "both events are gone", func() bool { return left(t, bus) == 0 })
	report := messages.Report{Source: "/pbx/7", ID: "1", CallRef: "7", OccurredAt: time.Date(2026, 3, 4, 5, 6, 7, 1000, time.UTC)}
	over := messages.Report{Source: "/pbx/7", ID: "2", CallRef: "7", OccurredAt: time.Date(2026, 3, 4, 5, 7, 7, 0, time.UTC)}
	want := []any{
		messages.ReportStarted{User: aUser, Client: aClient, Call: report.Call(), Lease: 90 * time.Second, Report: report},
		messages.ReportEnded{User: aUser, Call: report.Call(), Disposition: "sale", Report: over},
	}
	if got := f.seen(); !slices.Equal(got, want) {
		t.Errorf("the engine was told\n%+v, want\n%+v", got, want)
	}
	if n := testutil.ToFloat64(in.metrics.events.WithLabelValues("applied")); n != 2 {
		t.Errorf("%v events were applied, want 2", n)
	}
}

// TestPoisonHoldsNobodyUp: what cannot be applied becomes a dead letter that says
// why, at once or after its tries, and all others take their effect.
func TestPoisonHoldsNobodyUp(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	f.clients["+12025550123"] = []messages.ClientID{aClient, aClient}
	f.answer = func(r any) messages.Answer {
		if s, ok := r.(messages.ReportStarted); ok && s.User != aUser {
			return messages.Answer{Code: messages.CodeUserNotFound}
		}
		return messages.Answer{}
	}
	bus.cfg.Ingest.Region = "US"
	ingesting(t, bus, f)
	stranger := messages.UserID{UUID: natstest.ID(0x05, 99)}
	data := func(who string) string {
		return `{` + who + `,"call_ref":"7","occurred_at":"2026-03-04T05:06:07Z"}`
	}
	publish(t, bus, IngestStarted, "{")
	publish(t, bus, IngestStarted, startOf(stranger, 1))
	publish(t, bus, IngestStarted, cloud("call.started", "a", data(`"user_email":"nobody@example.com","client_id":"`+aClient.String()+`"`)))
	publish(t, bus, IngestStarted, cloud("call.started", "b", data(`"user_id":"`+aUser.String()+`","client_phone":"202 555 0199"`)))
	publish(t, bus, IngestStarted, cloud("call.started", "c", data(`"user_id":"`+aUser.String()+`","client_phone":"202 555 0123"`)))
	publish(t, bus, "dibs.ingest.call.paused", cloud("call.paused", "d", "{}"), "Nats-Rollup", "", "X-Trunk", "7", "Dibs-Reason", "forged")
	for n := range 20 {
		publish(t, bus, IngestStarted, startOf(aUser, n))
	}
	waitFor(t, soon, "all events are gone", func() bool { return left(t, bus) == 0 })
	got := map[Reason]int{}
	for _, l := range letters(t, bus) {
		got[l.Reason]++
		wantTries := 1
		if l.Reason == ReasonUserNotFound || l.Reason == ReasonClientNotFound {
			wantTries = 3
		}
		if l.Deliveries != wantTries || l.Error == "" || l.Received.IsZero() || !strings.HasPrefix(l.Subject, ingestPrefix) {
			t.Errorf("%+v, want %d deliveries", l, wantTries)
		}
	}
	want := map[Reason]int{ReasonMalformed: 2, ReasonUserNotFound: 2, ReasonClientNotFound: 1, ReasonClientAmbiguous: 1}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("dead letters %v, want %v", got, want)
	}
	applied := 0
	for _, r := range f.seen() {
		if s, ok := r.(messages.ReportStarted); ok && s.User == aUser {
			applied++
		}
	}
	if applied != 20 {
		t.Errorf("%d of the good events were applied", applied)
	}
}

// TestUserComesAMinuteLater: whoever is imported between two tries is found.
func TestUserComesAMinuteLater(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	in := ingesting(t, bus, f)
	publish(t, bus, IngestEnded, cloud("call.ended", "1", `{"user_email":"ana@example.com","call_ref":"7","occurred_at":"2026-03-04T05:06:07Z"}`))
	waitFor(t, soon, "it is put back once", func() bool {
		return testutil.ToFloat64(in.metrics.events.WithLabelValues("retried")) >= 1
	})
	f.set(func() { f.users["ana@example.com"] = aUser })
	waitFor(t, soon, "the event is gone", func() bool { return left(t, bus) == 0 })
	if n := len(letters(t, bus)); n != 0 || len(f.seen()) != 1 {
		t.Errorf("%d dead letters, %d reports", n, len(f.seen()))
	}
}

// TestStoreAway: while the store is away nothing is lost, given up or counted as
// a try, whichever way it is away.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	in := ingesting(t, bus, f)
	for _, code := range []messages.Code{messages.CodeUnavailable, messages.CodeOutcomeUnknown, messages.CodeOverloaded} {
		f.set(func() {
			f.reports, f.answer = nil, func(any) messages.Answer { return messages.Answer{Code: code} }
		})
		publish(t, bus, IngestStarted, startOf(aUser, 1))
		waitFor(t, soon, "more tries than an event has", func() bool { return len(f.seen()) > 5 })
		f.set(func() { f.answer = nil })
		waitFor(t, soon, "the event is gone", func() bool { return left(t, bus) == 0 })
	}
	// The look-ups fail.
	f.set(func() {
		f.lookErr, f.users["ana@example.com"] = &messages.Error{Code: messages.CodeUnavailable, Cause: errors.New("away")}, aUser
	})
	waits := testutil.ToFloat64(in.metrics.waits)
	publish(t, bus, IngestEnded, cloud("call.ended", "1", `{"user_email":"ana@example.com","call_ref":"7","occurred_at":"2026-03-04T05:06:07Z"}`))
	waitFor(t, soon, "more tries than an event has", func() bool { return testutil.ToFloat64(in.metrics.waits) > waits+5 })
	f.set(func() { f.lookErr = nil })
	waitFor(t, soon, "the event is gone", func() bool { return left(t, bus) == 0 })
	if n := len(letters(t, bus)); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	if n := testutil.ToFloat64(in.metrics.events.WithLabelValues("retried")); n != 0 {
		t.Errorf("%v events were put back", n)
	}
}

// TestPausesWhileTheStoreIsAway: nothing more is fetched.
func TestPausesWhileTheStoreIsAway(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	f.away = true
	in := ingesting(t, bus, f)
	if testutil.ToFloat64(in.metrics.paused) != 1 {
		t.Error("it does not say that it pauses")
	}
	for n := range 10 {
		publish(t, bus, IngestStarted, startOf(aUser, n))
	}
	waitFor(t, soon, "the events are counted", func() bool { return in.metrics.pending.Load() == 10 })
	if in.metrics.unacked.Load() != 0 || len(f.seen()) != 0 {
		t.Error("events were taken while the store was away")
	}
	f.set(func() { f.away = false })
	waitFor(t, soon, "all events are gone", func() bool { return left(t, bus) == 0 })
	if testutil.ToFloat64(in.metrics.paused) != 0 {
		t.Error("it says that it pauses")
	}
}

// TestInOrderOfTheStream: the events of one user are told one after the other, those that
// find no place in the user's line too.
func TestInOrderOfTheStream(t *testing.T) {
	const users, calls = 7, 40 // a user has more events than a line and one in hand
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	release := make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	busy := map[messages.UserID]bool{}
	f.answer = func(r any) messages.Answer {
		<-release
		u := userOf(r)
		f.set(func() {
			if busy[u] {
				t.Errorf("two events of %s at once", u)
			}
			busy[u] = true
		})
		f.set(func() { busy[u] = false })
		return messages.Answer{}
	}
	// What comes when a request has run out is lost, and seen by nobody before others are.
	timing := quickIngest()
	timing.fetchWait = usualIngestTiming().fetchWait
	in := ingestingAt(t, bus, f, inHand, timing)
	t.Cleanup(let) // before the ingester is stopped
	for n := range calls {
		for u := range users {
			id := messages.UserID{UUID: natstest.ID(0x05, u)}
			publish(t, bus, IngestStarted, startOf(id, n))
			publish(t, bus, IngestEnded, endOf(id, n))
		}
	}
	waitFor(t, soon, "some go back", func() bool {
		return testutil.ToFloat64(in.metrics.events.WithLabelValues("postponed")) > 0
	})
	let()
	waitFor(t, 2*soon, "all events are gone", func() bool { return left(t, bus) == 0 })
	next := map[messages.UserID]int{}
	for _, r := range f.seen() {
		id, _ := reportID(r)
		u := userOf(r)
		want := fmt.Sprintf("s-%s-%d", u, next[u]/2)
		if next[u]%2 == 1 {
			want = fmt.Sprintf("e-%s-%d", u, next[u]/2)
		}
		if id != want {
			t.Fatalf("%s came instead of %s", id, want)
		}
		next[u]++
	}
}

func userOf(r any) messages.UserID {
	switch r := r.(type) {
	case messages.ReportStarted:
		return r.User
	case messages.ReportEnded:
		return r.User
	}
	return messages.UserID{}
}

func reportID(r any) (id string, started bool) {
	switch r := r.(type) {
	case messages.ReportStarted:
		return r.Report.ID, true
	case messages.ReportEnded:
		return r.Report.ID, false
	}
	return "", false
}

// TestNoMoreInHandThanThereIsRoomFor: a backlog stays in the stream.
func TestNoMoreInHandThanThereIsRoomFor(t *testing.T) {
	const events = inHand + 500
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	release := make(chan struct{})
	let := sync.OnceFunc(func() { close(release) })
	f.answer = func(any) messages.Answer {
		<-release
		return messages.Answer{}
	}
	in := ingesting(t, bus, f)
	t.Cleanup(let) // before the ingester is stopped
	for n := range events {
		msg := nats.NewMsg(IngestStarted)
		msg.Data = []byte(startOf(messages.UserID{UUID: natstest.ID(0x05, n)}, 1))
		if _, err := bus.js.PublishMsgAsync(msg); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, soon, "the hand is full", func() bool { return len(f.seen()) == inHand })
	waitFor(t, soon, "the rest is counted", func() bool { return in.metrics.unacked.Load() >= inHand })
	if n := in.metrics.pending.Load(); n == 0 || n > events-inHand {
		t.Errorf("%d events are left in the stream, want %d", n, events-inHand)
	}
	let()
	waitFor(t, soon, "all events are gone", func() bool { return left(t, bus) == 0 })
}

// TestStopGivesBack: what a node has in hand when it must stop is done by
// another one, at once.
func TestStopGivesBack(t *testing.T) {
	bus := open(t, inProcess(t, t.TempDir()))
	f := newTaker()
	f.answer = func(any) messages.Answer { return messages.Answer{Code: messages.CodeUnavailable} }
	in := ingesting(t, bus, f)
	publish(t, bus, IngestStarted, startOf(aUser, 1))
	waitFor(t, soon, "it is in hand", func() bool { return len(f.seen()) > 0 })
	begin := time.Now()
	stopIngester(t, in)
	other := newTaker()
	second := anotherIngester(bus, other, in.metrics)
	second.Start()
	t.Cleanup(func() { stopIngester(t, second) })
	waitFor(t, soon, "the event is gone", func() bool { return left(t, bus) == 0 })
	if took := time.Since(begin); took > ackWait {
		t.Errorf("it took %s: it was not given back", took)
	}
	if len(other.seen()) != 1 {
		t.Errorf("the other node was told of %d events", len(other.seen()))
	}
}

// TestNATSGoesAndComes: the ingester goes on by itself after a server was killed
// and started again.
func TestNATSGoesAndComes(t *testing.T) {
	t.Parallel()
	server := process(t, "")
	bus := open(t, configOf(t, server))
	f := newTaker()
	ingesting(t, bus, f)
	publish(t, bus, IngestStarted, startOf(aUser, 1))
	waitFor(t, soon, "the first event is told", func() bool { return len(f.seen()) == 1 })
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	start(t, server)
	waitFor(t, soon, "it is connected again", func() bool { up, _ := bus.link.state(); return up })
	waitFor(t, soon, "the second event is taken by the stream", func() bool {
		_, err := bus.js.Publish(t.Context(), IngestStarted, []byte(startOf(aUser, 2)), jetstream.WithMsgID("2"))
		return err == nil
	})
	waitFor(t, 2*soon, "the second event is told", func() bool {
		return slices.ContainsFunc(f.seen(), func(r any) bool {
			id, _ := reportID(r)
			return id == "s-"+aUser.String()+"-2"
		})
	})
}
