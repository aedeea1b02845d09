package live

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestNothingIsServedBeforeTheTruthIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		truth := newStore(3)
		truth.setFault(errors.New("away"))
		logs := &lockedLog{}
		m := newModel(t, truth, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(logs, nil)) })
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		synctest.Wait()
		_, err := m.StatusTag(false)
		_, _, err2 := m.StatusBody(false, false)
		err3 := m.Stream(t.Context(), "", func([]byte) error { t.Error("something was sent"); return nil })
		for _, err := range []error{err, err2, err3} {
			if messages.CodeOf(err) != messages.CodeUnavailable {
				t.Errorf("%v", err)
			}
		}
		time.Sleep(10 * retryEvery) // the fake clock
		truth.setFault(nil)
		time.Sleep(2 * retryEvery) // the fake clock
		synctest.Wait()
		if got, want := listOf(t, m, false), truth.list(t, false); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
		if n := strings.Count(logs.String(), "cannot be read"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		cancel()
		synctest.Wait()
	})
}

// What this node committed is shown by the time Committed returns, and is not
// undone by a truth that was read before.
func TestCommittedAtOnce(t *testing.T) {
	truth := newStore(3)
	m := newModel(t, truth)
	if err := m.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		for _, onCall := range []bool{false, true} {
			if got, want := listOf(t, m, onCall), truth.list(t, onCall); got != want {
				t.Errorf("%s\nwant\n%s", got, want)
			}
		}
	}
	check()
	m.Committed(truth.start(0, 0))
	check()
	m.Committed(truth.start(1, 1))
	m.Committed(truth.start(9, 2)) // somebody who was made a moment ago
	check()

	// The list of calls is read, and then things happen before it is compared.
	stale := &frozen{store: truth, then: func() {
		m.Committed(truth.end(0))
		m.Committed(truth.start(2, 0)) // whom 0 was calling
		m.Committed(truth.start(0, 5))
		m.Committed(truth.end(1))
		m.Committed(truth.start(10, 6))
	}}
	m.cfg.Truth = stale
	if err := m.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
	if got := testutil.ToFloat64(m.metrics.drift.WithLabelValues("missing")) + testutil.ToFloat64(m.metrics.drift.WithLabelValues("over")); got != 0 {
		t.Errorf("drift %v", got)
	}
}

// frozen is a truth after whose reading things happen.
type frozen struct {
	*store
	then func()
}

func (f *frozen) CallsInProgress(ctx context.Context) ([]messages.LiveCall, error) {
	calls, err := f.store.CallsInProgress(ctx)
	f.then()
	return calls, err
}

func TestDriftIsRepairedCountedAndLogged(t *testing.T) {
	truth := newStore(5)
	logs := &lockedLog{}
	m := newModel(t, truth, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	m.Stale(false)
	reconcile := func() {
		t.Helper()
		if err := m.reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, onCall := range []bool{false, true} {
			if got, want := listOf(t, m, onCall), truth.list(t, onCall); got != want {
				t.Errorf("%s\nwant\n%s", got, want)
			}
		}
	}
	truth.start(0, 0)
	reconcile()
	if logs.String() != "" {
		t.Errorf("logged at the first reading: %s", logs)
	}
	truth.start(1, 1) // never told
	truth.start(2, 2)
	lost := truth.end(0)
	reconcile()
	if !strings.Contains(logs.String(), "missing=2 over=1") {
		t.Errorf("logs: %s", logs)
	}
	if missing, over := testutil.ToFloat64(m.metrics.drift.WithLabelValues("missing")),
		testutil.ToFloat64(m.metrics.drift.WithLabelValues("over")); missing != 2 || over != 1 {
		t.Errorf("missing %v, over %v", missing, over)
	}
	m.Committed(lost) // late: no news
	reconcile()

	// People come, go and are renamed; a client is renamed during the call.
	truth.mu.Lock()
	renamed := truth.users[user(1).ID]
	renamed.FirstName = "Zoe"
	truth.users[renamed.ID] = renamed
	delete(truth.users, user(4).ID)
	truth.users[user(20).ID] = user(20)
	call := truth.calls[user(2).ID]
	call.Client.Name, call.Call.LeaseExpiresAt = "Renamed", call.Call.LeaseExpiresAt.Add(time.Hour)
	truth.calls[user(2).ID] = call
	truth.mu.Unlock()
	tag, _ := m.StatusTag(false)
	frames := m.hub.position()
	reconcile()
	if again, _ := m.StatusTag(false); again == tag {
		t.Error("another list has the same tag")
	}
	if n := m.hub.position() - frames; n != 1 {
		t.Errorf("%d frames tell of the client that was renamed", n)
	}
	if got := m.state.holders[call.Client.ID].call.Call.LeaseExpiresAt; !got.Equal(call.Call.LeaseExpiresAt) {
		t.Error("the lease was not taken over")
	}
	if n := strings.Count(logs.String(), "\n"); n != 1 {
		t.Errorf("that is no drift: %s", logs)
	}
	tag, _ = m.StatusTag(false)
	reconcile()
	if again, _ := m.StatusTag(false); again != tag {
		t.Error("the same list has another tag")
	}

	// What happened elsewhere while the feed was lost is repaired as well.
	m.Stale(true)
	truth.start(3, 3)
	reconcile()
	truth.end(3)
	m.Stale(false)
	reconcile()
	if missing, over := testutil.ToFloat64(m.metrics.drift.WithLabelValues("missing")),
		testutil.ToFloat64(m.metrics.drift.WithLabelValues("over")); missing != 2 || over != 1 {
		t.Errorf("missing %v, over %v: that was to be expected", missing, over)
	}
}

// A disabled user's call goes on: nobody can call the client, but the list has
// active users alone.
func TestDisabledDuringACall(t *testing.T) {
	truth := newStore(2)
	m := newModel(t, truth)
	m.Committed(truth.start(0, 0))
	truth.mu.Lock()
	delete(truth.users, user(0).ID)
	truth.mu.Unlock()
	for range 2 {
		if err := m.reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := listOf(t, m, true); got != `{"users":[]}` {
			t.Error(got)
		}
		if got, want := m.shows(), truth.shows(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	m.Committed(truth.end(0))
	if users, calls := m.size(); users != 1 || calls != 0 || len(m.state.people) != 1 {
		t.Errorf("%d users, %d calls, %d people", users, calls, len(m.state.people))
	}
}

func TestOffsets(t *testing.T) {
	truth := newStore(3)
	m := newModel(t, truth)
	m.Reset(Offset{"a", 10})
	if err := m.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Stale(false)
	first, second := truth.start(0, 0)[0], truth.start(1, 1)[0]
	m.Apply(Offset{"a", 10}, first) // before the position
	if m.shows() != "" {
		t.Error("what the truth contains was applied")
	}
	m.Apply(Offset{"a", 12}, second)
	if got := m.Position(); got != (Offset{"a", 12}) {
		t.Errorf("at %s", got)
	}
	if m.isStale() {
		t.Error("stale")
	}
	m.Apply(Offset{"b", 1}, first) // the stream was made anew, and nobody said so
	if got := m.Position(); got != (Offset{"b", 1}) || !m.isStale() {
		t.Errorf("at %s, stale %v", got, m.isStale())
	}
	if err := m.reconcile(t.Context()); err != nil || m.isStale() {
		t.Errorf("%v, stale %v", err, m.isStale())
	}
}

// scripted is a feed that a test drives.
type scripted struct {
	to   chan Sink
	fail chan error
}

func (f scripted) Run(ctx context.Context, to Sink) error {
	select {
	case f.to <- to:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-f.fail:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestFeedLostAndFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		truth := newStore(4)
		feed := scripted{make(chan Sink), make(chan error)}
		m := newModel(t, truth, func(c *Config) { c.Feed = feed })
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		sink := <-feed.to
		synctest.Wait()
		r := listen(t, m, "")
		synctest.Wait()
		lastTag, lastStale := "", false // of the list
		isStale := func(want bool, snapshots int) {
			t.Helper()
			time.Sleep(time.Second) // the fake clock
			synctest.Wait()
			r.look(func(r *reader) {
				if r.stale != want || r.snapshots != snapshots || m.isStale() != want {
					t.Errorf("stale %v, %d snapshots; want %v, %d", r.stale, r.snapshots, want, snapshots)
				}
			})
			tag, _ := m.StatusTag(false)
			if got := listStale(t, m); got != want || want != lastStale && tag == lastTag {
				t.Errorf("who polls is told stale %v, want %v; under the tag %s, before %s", got, want, tag, lastTag)
			}
			lastTag, lastStale = tag, want
		}
		isStale(true, 1) // nobody has said otherwise
		sink.Stale(false)
		sink.Stale(false)
		isStale(false, 1)

		// Something was missed: the truth is read, and everybody starts anew.
		truth.setFault(errors.New("away"))
		truth.start(0, 0)
		sink.Reset(Offset{"a", 5})
		isStale(true, 1)
		truth.setFault(nil)
		isStale(false, 2)
		if got, want := r.knows(), truth.shows(); got != want {
			t.Errorf("the reader knows %q, want %q", got, want)
		}

		// The feed gives up, and is run again.
		feed.fail <- errors.New("broken")
		synctest.Wait()
		isStale(true, 2)
		again := <-feed.to
		// What another node has committed by now is on its way for a long time
		// yet. Nobody is told that all is well before it is known.
		late := truth.start(1, 1)[0]
		truth.setFault(errors.New("away"))
		again.Stale(false)
		isStale(true, 2)
		truth.setFault(nil)
		isStale(false, 2)
		if got, want := r.knows(), truth.shows(); got != want {
			t.Errorf("the reader knows %q, want %q", got, want)
		}
		again.Apply(Offset{"a", 6}, late)
		isStale(false, 2)
		r.look(func(r *reader) {
			if got := strings.Join(r.names, " "); got != "snapshot stale stale snapshot stale stale call.started stale" &&
				got != "snapshot stale stale snapshot stale call.started stale" {
				t.Errorf("frames: %s", got)
			}
		})
		cancel()
		<-r.done
		synctest.Wait()
		if !errors.Is(r.err, ErrClosed) {
			t.Errorf("the stream ended with %v", r.err)
		}
	})
}

// A Reset gives every reader a snapshot, whether or not anything had changed.
func TestResetWithoutChange(t *testing.T) {
	truth := newStore(2)
	m := newModel(t, truth)
	m.Committed(truth.start(0, 0))
	run(t, m)
	r := listen(t, m, "")
	waitFor(t, func() bool { return r.knows() == truth.shows() })
	m.Reset(Offset{"a", 1})
	waitFor(t, func() (ok bool) { r.look(func(r *reader) { ok = r.snapshots == 2 && !r.stale }); return ok })
}

// A store that was put back to an earlier state gives tokens a second time. The
// truth says so, and then its word counts.
func TestTokensThatWentBack(t *testing.T) {
	truth := newStore(2)
	m := newModel(t, truth)
	for range 5 {
		m.Committed(truth.start(0, 0))
		m.Committed(truth.end(0))
	}
	truth.mu.Lock()
	truth.tokens[client(0).ID] = 1
	truth.mu.Unlock()
	truth.start(1, 0)
	if err := m.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Committed(truth.end(1))
	m.Committed(truth.start(0, 0))
	if got, want := m.shows(), truth.shows(); got != want {
		t.Errorf("shows %q, want %q", got, want)
	}
}

// A Reset during a reading is not made up for by that reading.
func TestResetDuringReading(t *testing.T) {
	truth := newStore(4)
	m := newModel(t, truth)
	m.Stale(false)
	if err := m.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	truth.during = func() { m.Reset(Offset{"b", 1}) }
	if err := m.reconcile(t.Context()); err != nil || !m.isStale() {
		t.Errorf("%v, stale %v", err, m.isStale())
	}
	truth.during = nil
	if err := m.reconcile(t.Context()); err != nil || m.isStale() {
		t.Errorf("%v, stale %v", err, m.isStale())
	}
}

func TestReadingEvery30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		truth := newStore(4)
		m := newModel(t, truth)
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		reads := func(want int) {
			t.Helper()
			synctest.Wait()
			truth.mu.Lock()
			defer truth.mu.Unlock()
			if truth.reads != want {
				t.Errorf("%d readings, want %d", truth.reads, want)
			}
		}
		reads(1)
		time.Sleep(29 * time.Second) // the fake clock
		reads(1)
		time.Sleep(2 * time.Second) // the fake clock
		reads(2)
		for range 100 {
			m.RefreshUsers() // many ask: one reading at once, and one for those who asked since it began
			synctest.Wait()
		}
		time.Sleep(time.Second) // the fake clock
		reads(4)
		m.Committed(truth.start(50, 1)) // somebody new
		time.Sleep(time.Second)         // the fake clock
		reads(5)
		cancel()
		synctest.Wait()
	})
}

// Everything at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	truth := newStore(200)
	m := newModel(t, truth, func(c *Config) { c.ReconcileEvery, c.WakeEvery = time.Millisecond, time.Millisecond })
	run(t, m)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 200 {
				m.Committed(truth.start(50*w+i%50, 50*w+i%50))
				if body := listOf(t, m, true); !strings.Contains(body, client(50*w+i%50).ID.String()) {
					t.Errorf("a start that was acknowledged is not in the list")
				}
				m.Committed(truth.end(50*w + i%50))
			}
		})
		all.Go(func() {
			for range 200 {
				_, _, _ = m.StatusBody(false, true)
				_, _ = m.StatusTag(true)
				m.RefreshUsers()
			}
		})
		all.Go(func() {
			r := listen(t, m, "")
			for range 10 {
				r = r.resume(m)
			}
		})
	}
	all.Wait()
	waitFor(t, func() bool { return m.shows() == "" })
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
	registry := prometheus.NewRegistry()
	cfg := Config{Truth: newStore(1), Log: slog.New(slog.DiscardHandler), Metrics: registry}
	if _, err := New(cfg); err != nil {
		t.Error(err)
	}
	if _, err := New(cfg); err == nil {
		t.Error("the same metrics were registered twice")
	}
}
