package live

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func id(kind byte, n int) uuid.UUID {
	var u uuid.UUID
	u[0] = kind
	binary.BigEndian.PutUint64(u[8:], uint64(n)) //nolint:gosec // small
	return u
}

func user(n int) messages.User {
	return messages.User{ID: messages.UserID{UUID: id('u', n)}, FirstName: fmt.Sprintf("First%02d", n%17),
		LastName: fmt.Sprintf("Last%03d", n), Email: fmt.Sprintf("first%d.last%d@example.com", n%17, n), Role: messages.RoleUser}
}

func client(n int) messages.ClientSummary {
	return messages.ClientSummary{ID: messages.ClientID{UUID: id('c', n)}, Name: fmt.Sprintf("Client %d", n),
		Phone: fmt.Sprintf("+1650%07d", n), Email: fmt.Sprintf("c%d@example.org", n)}
}

// store is the truth of a test: a store in memory that says what it committed.
type store struct {
	mu     sync.Mutex
	now    time.Time
	serial int
	users  map[messages.UserID]messages.User
	calls  map[messages.UserID]messages.LiveCall
	tokens map[messages.ClientID]int64
	fault  error
	during func() // called between the two reads
	reads  int
}

func newStore(users int) *store {
	s := &store{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), users: map[messages.UserID]messages.User{},
		calls: map[messages.UserID]messages.LiveCall{}, tokens: map[messages.ClientID]int64{}}
	for n := range users {
		u := user(n)
		s.users[u.ID] = u
	}
	return s
}

func (s *store) tick() time.Time {
	s.now = s.now.Add(time.Millisecond)
	return s.now
}

// clock is the time now; it stands still between changes.
func (s *store) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// start is nil when the claim is refused.
func (s *store) start(u, c int) []messages.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, whom := user(u), client(c)
	if _, on := s.calls[who.ID]; on {
		return nil
	}
	for _, call := range s.calls {
		if call.Client.ID == whom.ID {
			return nil
		}
	}
	s.serial++
	s.tokens[whom.ID]++
	now := s.tick()
	if known, ok := s.users[who.ID]; ok {
		who = known
	} else {
		s.users[who.ID] = who
	}
	call := messages.LiveCall{User: who, Client: whom, Call: messages.Call{ID: messages.CallID{UUID: id('x', s.serial)},
		ClientID: whom.ID, UserID: who.ID, StartedAt: now, LeaseExpiresAt: now.Add(2 * time.Hour), Token: s.tokens[whom.ID]}}
	s.calls[who.ID] = call
	return []messages.Event{s.event(call, messages.EventCallStarted, now)}
}

func (s *store) end(u int) []messages.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	call, on := s.calls[user(u).ID]
	if !on {
		return nil
	}
	delete(s.calls, user(u).ID)
	e := s.event(call, messages.EventCallEnded, s.tick())
	e.Reason = messages.ReasonCompleted
	return []messages.Event{e}
}

func (s *store) event(c messages.LiveCall, t messages.EventType, at time.Time) messages.Event {
	return messages.Event{ID: messages.EventID(c.Call.ID, t), Type: t, At: at, Call: c.Call, User: c.User, Client: c.Client}
}

func (s *store) ActiveUsers(context.Context) ([]messages.User, error) {
	s.mu.Lock()
	all := make([]messages.User, 0, len(s.users))
	for _, u := range s.users {
		all = append(all, u)
	}
	during, fault := s.during, s.fault
	s.reads++
	s.mu.Unlock()
	if during != nil {
		during()
	}
	return all, fault
}

func (s *store) CallsInProgress(context.Context) ([]messages.LiveCall, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.calls)), s.fault
}

func (s *store) setFault(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

// list is GET /api/user-status as the store would answer it, but for whether it
// may be stale.
func (s *store) list(t testing.TB, onCall bool) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []messages.UserStatus{}
	for uid, u := range s.users {
		p := person{user: u}
		if call, on := s.calls[uid]; on {
			p.call = &call
		}
		if p.call != nil || !onCall {
			all = append(all, p.status())
		}
	}
	slices.SortFunc(all, func(a, b messages.UserStatus) int {
		return strings.Compare(a.FirstName+"\x00"+a.LastName+"\x00"+a.ID.String(), b.FirstName+"\x00"+b.LastName+"\x00"+b.ID.String())
	})
	out, err := json.Marshal(map[string]any{"users": all})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// lockedLog keeps what was logged.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newModel(t testing.TB, truth Truth, change ...func(*Config)) *Model {
	t.Helper()
	cfg := Config{Truth: truth, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Settle: time.Nanosecond}
	for _, f := range change {
		f(&cfg)
	}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run runs the model until the test or stop ends it, and waits until it is
// loaded.
func run(t testing.TB, m *Model) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	waitFor(t, m.Loaded)
	return stop
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(100 * time.Microsecond) { // in a bubble, the fake clock
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within 20 s")
		}
	}
}

// listOf is the list of users as the model answers it, without whether it may be
// stale.
func listOf(t testing.TB, m *Model, onCall bool) string {
	t.Helper()
	body, _, err := m.StatusBody(onCall, false)
	if err != nil {
		t.Fatal(err)
	}
	users, _, _ := strings.Cut(string(body), `,"stale":`)
	return users + "}"
}

// listStale is whether the list, plain and gzipped, says that it may be stale.
func listStale(t testing.TB, m *Model) bool {
	t.Helper()
	plain, _, err := m.StatusBody(false, false)
	zipped, _, err2 := m.StatusBody(false, true)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if text := unzip(t, zipped); text != string(plain) {
		t.Errorf("gzipped %s, plain %s", text, plain)
	}
	var says struct{ Stale *bool }
	if err := json.Unmarshal(plain, &says); err != nil || says.Stale == nil {
		t.Fatalf("%s: %v", plain, err)
	}
	return *says.Stale
}

// reader reads a stream into the calls that it knows of, as a page does.
type reader struct {
	t      testing.TB
	cancel context.CancelFunc
	done   chan struct{}

	mu        sync.Mutex
	err       error
	lastID    string
	names     []string
	seen      map[string]int // events, by their id
	calls     map[messages.CallID]messages.LiveCall
	stale     bool
	snapshots int
	hold      func() // called with each chunk of frames
	retries   int
}

func listen(t testing.TB, m *Model, lastEventID string) *reader {
	t.Helper()
	return listenWith(t, m, lastEventID, nil)
}

func listenWith(t testing.TB, m *Model, lastEventID string, hold func()) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{t: t, cancel: cancel, done: make(chan struct{}), lastID: lastEventID, hold: hold,
		seen: map[string]int{}, calls: map[messages.CallID]messages.LiveCall{}}
	go func() {
		defer close(r.done)
		err := m.Stream(ctx, lastEventID, r.take)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err = err
	}()
	t.Cleanup(r.stop)
	return r
}

// resume goes on where r stopped, with what it knows.
func (r *reader) resume(m *Model) *reader {
	r.t.Helper()
	r.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	n := &reader{t: r.t, done: make(chan struct{}), lastID: r.lastID, seen: r.seen, calls: r.calls, stale: r.stale}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	id := r.lastID
	go func() {
		defer close(n.done)
		err := m.Stream(ctx, id, n.take)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.err = err
	}()
	r.t.Cleanup(n.stop)
	return n
}

func (r *reader) snapshotsRead() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.snapshots
}

func (r *reader) stop() { r.cancel(); <-r.done }

var errBadFrame = errors.New("not a frame")

func (r *reader) take(frames []byte) error {
	if r.hold != nil {
		r.hold()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	text, whole := strings.CutSuffix(string(frames), "\n\n")
	if !whole {
		r.t.Errorf("half a frame: %q", frames)
		return errBadFrame
	}
	for f := range strings.SplitSeq(text, "\n\n") {
		if err := r.frame(f); err != nil {
			r.t.Errorf("%q: %v", f, err)
			return err
		}
	}
	return nil
}

func (r *reader) frame(f string) error {
	var name, data string
	for line := range strings.SplitSeq(f, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "": // comment
		case "retry":
			r.retries++
			return nil
		case "id":
			r.lastID = value
		case "event":
			name = value
		case "data":
			data = value
		default:
			return errBadFrame
		}
	}
	r.names = append(r.names, name)
	switch name {
	case frameSnapshot:
		var s messages.Snapshot
		r.snapshots++
		r.calls = map[messages.CallID]messages.LiveCall{}
		if err := json.Unmarshal([]byte(data), &s); err != nil {
			return err
		}
		for _, c := range s.Calls {
			r.calls[c.Call.ID] = c
		}
		r.stale = s.Stale
		return nil
	case frameStale:
		return json.Unmarshal([]byte(data), &struct{ Stale *bool }{&r.stale})
	case frameChanged:
		var c messages.LiveCall
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			return err
		}
		if _, known := r.calls[c.Call.ID]; !known {
			return errors.New("of no call that is known")
		}
		r.calls[c.Call.ID] = c
		return nil
	case framePing:
		return nil
	}
	var e messages.Event
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return err
	}
	if r.seen[e.ID]++; r.seen[e.ID] > 1 {
		return fmt.Errorf("%s came twice", e.ID)
	}
	switch _, known := r.calls[e.Call.ID]; {
	case e.Type == messages.EventCallStarted && !known:
		r.calls[e.Call.ID] = messages.LiveCall{Call: e.Call, User: e.User, Client: e.Client}
	case e.Type == messages.EventCallEnded && known:
		delete(r.calls, e.Call.ID)
	default:
		return fmt.Errorf("%s is no change; known: %v", e.Type, known)
	}
	return nil
}

func (r *reader) look(f func(*reader)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
}

func (r *reader) knows() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return show(slices.Collect(maps.Values(r.calls)))
}

// show is calls in a form to compare: times without their monotonic part, in a
// fixed order.
func show(calls []messages.LiveCall) string {
	lines := make([]string, len(calls))
	for i, c := range calls {
		lines[i] = fmt.Sprintf("%s %s→%s #%d", c.Call.ID, c.User.LastName, c.Client.Name, c.Call.Token)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (s *store) shows() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return show(slices.Collect(maps.Values(s.calls)))
}

func (m *Model) shows() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return show(m.state.calls())
}
