package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

const (
	reportSource = "/pbx/main"
	ingestLimit  = 10 * time.Minute // a hang guard
)

// reportedCall is a call that a telephony service reports.
type reportedCall struct {
	user, client   int // numbers of people and clients
	started, ended messages.Report
	ends           bool // else it goes on
	contended      bool // somebody else reports a call to the same client
}

// report is one event as it is published.
type report struct {
	subject string
	body    []byte
}

// telephony makes up the calls of a service: most begin and end, some go on, and
// some pairs are to the same client. Each call is of a user of its own, so that
// what must become of it does not depend on the others.
func telephony(calls int) []reportedCall {
	all := make([]reportedCall, calls)
	began := time.Now().UTC().Truncate(time.Second)
	for n := range all {
		c := &all[n]
		c.user, c.client, c.ends = n, n, n%10 != 0
		if n%50 == 0 || n%50 == 10 { // pairs of those that go on
			c.client, c.contended = n-n%50, true
		}
		ref := fmt.Sprintf("trunk/%d", n)
		if n%3 == 0 {
			ref = uuid.NewString()
		}
		at := began.Add(time.Duration(n) * time.Microsecond)
		c.started = messages.Report{Source: reportSource, ID: fmt.Sprintf("s%d", n), CallRef: ref, OccurredAt: at}
		c.ended = messages.Report{Source: reportSource, ID: fmt.Sprintf("e%d", n), CallRef: ref, OccurredAt: at.Add(time.Minute)}
	}
	return all
}

// switchboard is a store with people and clients, and the calls that are
// reported of them.
type switchboard struct {
	users, clients []uuid.UUID
	calls          []reportedCall
}

// newSwitchboard puts n people and n clients into a migrated Postgres store.
func newSwitchboard(t testing.TB, db *sql.DB, n int) *switchboard {
	t.Helper()
	s := &switchboard{calls: telephony(n)}
	s.users = insert(t, db, `INSERT INTO accounts (email, first_name, last_name)
		SELECT 'agent' || i || '@example.com', 'Agent', i::text FROM generate_series(0, $1 - 1) i RETURNING id, last_name::int`, n)
	s.clients = insert(t, db, `INSERT INTO clients (name, phone)
		SELECT i::text, '+1202' || (2000000 + i) FROM generate_series(0, $1 - 1) i RETURNING id, name::int`, n)
	return s
}

func insert(t testing.TB, db *sql.DB, query string, n int) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, n)
	rows, err := db.QueryContext(t.Context(), query, n)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id uuid.UUID
		var i int
		if err := rows.Scan(&id, &i); err != nil {
			t.Fatal(err)
		}
		ids[i] = id
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// events are all events, some of them several times, in an order that is wrong
// here and there: each event moves by up to the spread.
func (s *switchboard) events(t *testing.T, spread int) []report {
	t.Helper()
	var all []report
	for n, c := range s.calls {
		all = append(all, s.event(t, n, c, messages.EventCallStarted))
		if c.ends {
			all = append(all, s.event(t, n, c, messages.EventCallEnded))
		}
	}
	for i := range len(all) {
		if rand.IntN(5) == 0 {
			all = append(all, all[i]) // again, much later
		}
	}
	for i := range all {
		j := min(i+rand.IntN(spread), len(all)-1)
		all[i], all[j] = all[j], all[i]
	}
	return all
}

func (s *switchboard) event(t testing.TB, n int, c reportedCall, kind messages.EventType) report {
	t.Helper()
	r := c.started
	if kind == messages.EventCallEnded {
		r = c.ended
	}
	data := map[string]any{"call_ref": r.CallRef, "occurred_at": r.OccurredAt}
	if n%2 == 0 {
		data["user_id"], data["client_id"] = s.users[c.user], s.clients[c.client]
	} else {
		data["user_email"] = fmt.Sprintf("Agent%d@Example.com", c.user)
		data["client_phone"] = fmt.Sprintf("(202) %d-%04d", (2000000+c.client)/10000, c.client%10000)
	}
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": r.ID, "source": r.Source, "type": kind, "data": data, "ignored": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return report{"dibs.ingest." + string(kind), body}
}

// bus is a connection to NATS as other services have it.
type bus struct{ jetstream.JetStream }

func connectNATS(t testing.TB, url string) bus {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(readyLimit))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(readyLimit), jetstream.WithPublishAsyncMaxPending(512))
	if err != nil {
		t.Fatal(err)
	}
	return bus{js}
}

// publish publishes events, and calls at when that share of them is out.
func (b bus) publish(t *testing.T, events []report, at map[int]func()) {
	t.Helper()
	for i, e := range events {
		if _, err := b.PublishAsync(e.subject, e.body, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if f := at[100*i/len(events)]; f != nil && 100*i%len(events) < 100 {
			f()
		}
	}
	select {
	case <-b.PublishAsyncComplete():
	case <-time.After(time.Minute):
		t.Fatal("events were published, and not acknowledged")
	}
}

// left is how many events wait in the ingest stream.
func (b bus) left(t testing.TB) int {
	t.Helper()
	stream, err := b.Stream(t.Context(), "DIBS_INGEST")
	if err != nil {
		t.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs)
}

// published reads the ids of the status events, by type. One that comes twice is
// one event.
func (b bus) published(t *testing.T) map[messages.EventType]map[string]bool {
	t.Helper()
	stream, err := b.Stream(t.Context(), "DIBS_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	all := map[messages.EventType]map[string]bool{}
	state := stream.CachedInfo().State
	consumer, err := stream.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		t.Fatal(err)
	}
	from, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Stop()
	for range state.Msgs {
		msg, err := from.Next(jetstream.NextMaxWait(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			ID   string             `json:"id"`
			Type messages.EventType `json:"type"`
		}
		if err := json.Unmarshal(msg.Data(), &e); err != nil {
			t.Fatal(err)
		}
		if all[e.Type] == nil {
			all[e.Type] = map[string]bool{}
		}
		all[e.Type][e.ID] = true
	}
	return all
}

// TestReportsTakeEffectOnce: two nodes take the events of a telephony service,
// with duplicates and in a wrong order, and are killed one after the other. Every
// event takes effect once: what is in the store and on the stream is what was
// published.
func TestReportsTakeEffectOnce(t *testing.T) {
	calls := 50_000
	if testing.Short() {
		calls = 5_000
	}
	bin, err := natstest.Build(t.Context(), t.TempDir())
	must(t, err)
	server := startNATS(t, bin)
	d := onPostgres(t)
	d.MustRun(t, "migrate", "up")
	db := openStore(t, d.Store)
	s := newSwitchboard(t, db, calls)
	nodes := [2]*harness.Server{}
	for i := range nodes {
		nodes[i] = d.Serve(t, "--nats-url", server.URL())
		nodes[i].WaitReady(readyLimit)
	}
	b := connectNATS(t, server.URL())
	waitFor(t, readyLimit, "the ingest stream", func() bool {
		_, err := b.Stream(context.Background(), "DIBS_INGEST")
		return err == nil
	})
	kill := func(i int) func() {
		return func() {
			nodes[i].Kill()
			nodes[i] = d.ServeAt(t, nodes[i].Addr, "--nats-url", server.URL())
		}
	}
	begin := time.Now()
	b.publish(t, s.events(t, 200), map[int]func(){30: kill(0), 60: kill(1), 90: kill(0)})
	waitFor(t, ingestLimit, "all events to be worked off", func() bool {
		n := b.left(t)
		return n == 0
	})
	t.Logf("%d calls in %s", calls, time.Since(begin).Round(time.Millisecond))
	for _, n := range nodes {
		n.WaitReady(readyLimit)
	}
	// What a node that stops cannot publish any more its successor does.
	waitFor(t, ingestLimit, "the outbox to be empty", func() bool { return rowsIn(t, db, "outbox") == 0 })
	for _, n := range nodes {
		if code, _ := n.Terminate(readyLimit); code != 0 {
			t.Errorf("a node ended with %d", code)
		}
	}
	s.check(t, db, b.published(t))
	if stream, err := b.Stream(t.Context(), "DIBS_DEAD"); err != nil || stream.CachedInfo().State.Msgs != 0 {
		t.Errorf("dead letters: %v", err)
	}
}

// check holds what is in the store and on the stream to what was reported.
func (s *switchboard) check(t *testing.T, db *sql.DB, published map[messages.EventType]map[string]bool) {
	t.Helper()
	events := idsIn(t, db, "SELECT event FROM reported_events")
	first := timesIn(t, db, "SELECT call_id, occurred_at FROM reported_calls")
	finished, claims := finishedIn(t, db), claimsIn(t, db)
	inProgress := map[messages.CallID]bool{}
	for _, c := range claims {
		inProgress[c.call] = true
	}
	want, refused, lateStarts := 0, 0, 0
	for n, c := range s.calls {
		id := c.started.Call()
		recorded := 1
		if c.ends {
			recorded = 2
		}
		want += recorded
		if !events[c.started.EventKey()] || c.ends && !events[c.ended.EventKey()] {
			t.Errorf("call %d: an event has had no effect", n)
			continue
		}
		began := first[id.UUID].Equal(c.started.OccurredAt)
		over := first[id.UUID].Equal(c.ended.OccurredAt)
		startedEvent, endedEvent := published[messages.EventCallStarted][messages.EventID(id, messages.EventCallStarted)],
			published[messages.EventCallEnded][messages.EventID(id, messages.EventCallEnded)]
		switch {
		case began && c.ends: // it began, and ended
			if finished[id] != 1 || inProgress[id] || !startedEvent || !endedEvent {
				t.Errorf("call %d: finished %d times, in progress %t, published %t %t", n, finished[id], inProgress[id], startedEvent, endedEvent)
			}
		case began: // it goes on
			if finished[id] != 0 || !inProgress[id] || !startedEvent || endedEvent {
				t.Errorf("call %d: finished %d times, in progress %t, published %t %t", n, finished[id], inProgress[id], startedEvent, endedEvent)
			}
		case over && c.ends: // its end came first
			lateStarts++
			if finished[id] != 0 || inProgress[id] || startedEvent || endedEvent {
				t.Errorf("call %d, whose end came first: finished %d times, in progress %t, published %t %t", n, finished[id], inProgress[id], startedEvent, endedEvent)
			}
		case c.contended:
			refused++
			if finished[id] != 0 || inProgress[id] || !published[messages.EventCallRefused][c.started.EventKey().String()+"/call.refused"] {
				t.Errorf("call %d was refused: finished %d times, in progress %t, or nobody was told", n, finished[id], inProgress[id])
			}
		default:
			t.Errorf("call %d neither began nor was refused", n)
		}
	}
	if len(events) != want {
		t.Errorf("%d events are recorded, %d were published", len(events), want)
	}
	if len(published[messages.EventCallRefused]) != refused || refused != len(s.calls)/50 {
		t.Errorf("%d refusals, %d published, want %d", refused, len(published[messages.EventCallRefused]), len(s.calls)/50)
	}
	if got := len(finished) + len(claims); got != len(s.calls)-refused-lateStarts {
		t.Errorf("%d calls, want %d", got, len(s.calls)-refused-lateStarts)
	}
	t.Logf("%d calls, of %d the end came first, %d were refused", len(s.calls), lateStarts, refused)
}

func rowsIn(t *testing.T, db *sql.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func idsIn(t *testing.T, db *sql.DB, query string) map[uuid.UUID]bool {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	ids := map[uuid.UUID]bool{}
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids[id] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

func timesIn(t *testing.T, db *sql.DB, query string) map[uuid.UUID]time.Time {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	times := map[uuid.UUID]time.Time{}
	for rows.Next() {
		var id uuid.UUID
		var at time.Time
		if err := rows.Scan(&id, &at); err != nil {
			t.Fatal(err)
		}
		times[id] = at
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return times
}

// TestReportsWaitForTheStore: while Postgres is down nothing is fetched, and
// nothing is lost or given up, however long that takes.
func TestReportsWaitForTheStore(t *testing.T) {
	const calls = 300
	pg := pgtest.StartServer(t, pgtest.Options{})
	url := pg.MigratedURL(t, "reports")
	d := harness.Dibs{Binary: tools.dibs, Store: harness.Store{DataDir: t.TempDir(), DatabaseURL: url}}
	seeding, err := sql.Open("pgx", url)
	must(t, err)
	s := newSwitchboard(t, seeding, calls)
	must(t, seeding.Close())
	listen := harness.FreeAddr(t)
	node := d.Serve(t, "--nats-listen", listen)
	node.WaitReady(readyLimit)
	b := connectNATS(t, "nats://"+listen)
	waitFor(t, readyLimit, "the ingest stream", func() bool {
		_, err := b.Stream(context.Background(), "DIBS_INGEST")
		return err == nil
	})
	all := s.events(t, 1)
	b.publish(t, all[:len(all)/2], nil)
	must(t, pg.Stop(pgtest.Immediate))
	b.publish(t, all[len(all)/2:], nil)
	waitFor(t, readyLimit, "the server to pause", func() bool { return metric(t, node, "dibs_ingest_paused") == 1 })
	must(t, pg.Start())
	waitFor(t, ingestLimit, "all events to be worked off", func() bool { return b.left(t) == 0 })
	if n := metric(t, node, "dibs_dead_letters"); n != 0 {
		t.Errorf("%v dead letters", n)
	}
	if code, _ := node.Terminate(readyLimit); code != 0 {
		t.Errorf("the node ended with %d", code)
	}
	db := openStore(t, d.Store)
	if events := idsIn(t, db, "SELECT event FROM reported_events"); len(events) != calls+calls*9/10 {
		t.Errorf("%d events took effect, want %d", len(events), calls+calls*9/10)
	}
	claims := claimsIn(t, db)
	for n, c := range s.calls {
		if id := c.started.Call(); c.ends && claims[messages.UserID{UUID: s.users[c.user]}].call == id {
			t.Errorf("call %d is left behind", n)
		}
	}
}
