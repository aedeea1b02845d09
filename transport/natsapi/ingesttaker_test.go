package natsapi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

const soon = 20 * time.Second // a hang guard, not an expectation

// reportTaker is an engine in memory: it remembers what was reported, answers what
// the test says, and knows who has which address and number.
type reportTaker struct {
	mu      sync.Mutex
	reports []any
	answer  func(report any) messages.Answer // nil: OK
	away    bool
	users   map[string]messages.UserID
	clients map[string][]messages.ClientID
	lookErr error
}

func newTaker() *reportTaker {
	return &reportTaker{users: map[string]messages.UserID{}, clients: map[string][]messages.ClientID{}}
}

func (f *reportTaker) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *reportTaker) ReportStarted(_ context.Context, r messages.ReportStarted) messages.Answer {
	return f.take(r)
}

func (f *reportTaker) ReportEnded(_ context.Context, r messages.ReportEnded) messages.Answer {
	return f.take(r)
}

func (f *reportTaker) take(r any) messages.Answer {
	f.mu.Lock()
	f.reports = append(f.reports, r)
	answer := f.answer
	f.mu.Unlock()
	if answer != nil {
		return answer(r)
	}
	return messages.Answer{Call: &messages.Call{}}
}

func (f *reportTaker) Reachable() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.away
}

func (f *reportTaker) UsersByEmail(_ context.Context, emails []string) (map[string]messages.UserID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := map[string]messages.UserID{}
	for _, e := range emails {
		if id, ok := f.users[strings.ToLower(e)]; ok {
			found[e] = id
		}
	}
	return found, f.lookErr
}

func (f *reportTaker) ClientsByPhone(_ context.Context, queries []messages.PhoneQuery) ([]messages.PhoneMatch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	matches := make([]messages.PhoneMatch, len(queries))
	for i, q := range queries {
		matches[i].Clients = len(f.clients[q.Phone])
		if matches[i].Clients == 1 {
			matches[i].Client = f.clients[q.Phone][0]
		}
	}
	return matches, f.lookErr
}

func (f *reportTaker) seen() []any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.reports)
}

func quickIngest() ingestTiming {
	return ingestTiming{
		fetchWait: 50 * time.Millisecond, tries: 3, between: func(int) time.Duration { return 20 * time.Millisecond },
		storeWait: 20 * time.Millisecond, holdMost: 50 * time.Millisecond, stuckMost: 3,
		deadWait: 50 * time.Millisecond, countEvery: 20 * time.Millisecond,
	}
}

// ingesting starts an ingester that is stopped at the end of the test, and waits
// until its streams are there.
func ingesting(t testing.TB, bus *Bus, f *reportTaker) *Ingester {
	t.Helper()
	return ingestingWith(t, bus, f, inHand)
}

// ingestingWith is ingesting with room for so many events in hand.
func ingestingWith(t testing.TB, bus *Bus, f *reportTaker, room int) *Ingester {
	t.Helper()
	return ingestingAt(t, bus, f, room, quickIngest())
}

func ingestingAt(t testing.TB, bus *Bus, f *reportTaker, room int, timing ingestTiming) *Ingester {
	t.Helper()
	in, err := bus.newIngester(f, f, timing)
	if err != nil {
		t.Fatal(err)
	}
	in.hand = newHand(room)
	in.Start()
	t.Cleanup(func() { stopIngester(t, in) })
	waitFor(t, soon, "the consumer is there", func() bool {
		_, err := bus.js.Consumer(t.Context(), IngestStreamName, ingestConsumer)
		return err == nil
	})
	return in
}

func stopIngester(t testing.TB, in *Ingester) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := in.Stop(ctx); err != nil {
		t.Error(err)
	}
}

var (
	aUser   = messages.UserID{UUID: natstest.ID(0x05, 1)}
	aClient = messages.ClientID{UUID: natstest.ID(0xc1, 1)}
)

// cloud is a CloudEvent with this data.
func cloud(kind, id, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/pbx/7","type":%q,"data":%s}`, id, kind, data)
}

// startOf is the start of the n-th call of a user's.
func startOf(user messages.UserID, n int) string {
	return cloud("call.started", fmt.Sprintf("s-%s-%d", user, n), fmt.Sprintf(
		`{"user_id":%q,"client_id":%q,"call_ref":"c-%s-%d","occurred_at":"2026-03-04T05:06:07Z"}`, user, aClient, user, n))
}

func endOf(user messages.UserID, n int) string {
	return cloud("call.ended", fmt.Sprintf("e-%s-%d", user, n), fmt.Sprintf(
		`{"user_id":%q,"call_ref":"c-%s-%d","occurred_at":"2026-03-04T05:07:07Z","disposition":"sale"}`, user, user, n))
}

func publish(t testing.TB, bus *Bus, subject, body string, header ...string) {
	t.Helper()
	msg := nats.NewMsg(subject)
	msg.Data = []byte(body)
	for i := 0; i < len(header); i += 2 {
		msg.Header.Set(header[i], header[i+1])
	}
	if _, err := bus.js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

// left is how many events are in the ingest stream.
func left(t testing.TB, bus *Bus) int { return stateOf(t, bus, IngestStreamName) }

func stateOf(t testing.TB, bus *Bus, name string) int {
	t.Helper()
	stream, err := bus.js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs)
}

func letters(t testing.TB, bus *Bus) []DeadLetter {
	t.Helper()
	var all []DeadLetter
	d := lettersOf(bus)
	if _, err := d.Each(t.Context(), func(l DeadLetter) (bool, error) { all = append(all, l); return true, nil }); err != nil {
		t.Fatal(err)
	}
	return all
}
