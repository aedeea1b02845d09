package live

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// After an outage of the feed a backlog of old news comes. Calls that began and
// ended meanwhile are never shown: the truth has said that they are over.
func TestOldNewsAfterAnOutage(t *testing.T) {
	truth := newStore(4)
	m := newModel(t, truth, func(c *Config) { c.Now = truth.clock })
	run(t, m)
	r := listen(t, m, "")
	waitFor(t, func() bool { return !m.isStale() && r.snapshotsRead() == 1 })
	m.Stale(true)
	var backlog []messages.Event
	for n := range 3 {
		backlog = append(backlog, truth.start(n, n)...)
		backlog = append(backlog, truth.end(n)...)
	}
	goesOn := truth.start(3, 3)
	m.Stale(false)
	waitFor(t, func() bool { return !m.isStale() })
	if got, want := m.shows(), truth.shows(); got != want {
		t.Errorf("no longer stale, the model shows %q, want %q", got, want)
	}
	seq := uint64(0)
	tell := func(events ...messages.Event) {
		for _, e := range events {
			seq++
			m.Apply(Offset{Seq: seq}, e)
			if got, want := m.shows(), truth.shows(); got != want {
				t.Errorf("after %s the model shows %q, want %q", e.ID, got, want)
			}
		}
	}
	tell(backlog...)
	tell(goesOn...)

	// What was begun before the truth was read and committed after it is shown
	// when the truth is read again; what is new, at once.
	unclear := truth.start(0, 0)
	unclear[0].Call.StartedAt = unclear[0].Call.StartedAt.Add(-time.Minute)
	seq++
	m.Apply(Offset{Seq: seq}, unclear[0])
	waitFor(t, func() bool { return m.shows() == truth.shows() })
	tell(truth.end(3)...)
	truth.mu.Lock()
	truth.now = truth.now.Add(time.Second) // readings took place since
	truth.mu.Unlock()
	tell(truth.start(3, 3)...)
	waitFor(t, func() bool { return r.knows() == truth.shows() })
	r.look(func(r *reader) {
		if r.snapshots != 1 || len(r.seen) != 4 {
			t.Errorf("the reader had %d snapshots and %d events", r.snapshots, len(r.seen))
		}
	})
}

// A backlog may pour in for longer than old news is expected by itself: as long as it does, none
// of it is taken for news.
func TestALongBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		truth := newStore(12)
		m := newModel(t, truth, func(c *Config) { c.Now, c.ReconcileEvery = truth.clock, 24*time.Hour })
		run(t, m)
		synctest.Wait() // the feed has said that it is there
		m.Stale(true)
		var backlog []messages.Event
		for n := range 12 {
			backlog = append(backlog, truth.start(n, n)...)
			backlog = append(backlog, truth.end(n)...)
		}
		m.Stale(false)
		for i, e := range backlog {
			<-time.After(time.Second) // of the bubble: what was asked for is read
			synctest.Wait()
			truth.mu.Lock()
			truth.now = truth.now.Add(doubtFor / 3)
			truth.mu.Unlock()
			m.Apply(Offset{Seq: uint64(i) + 1}, e) //nolint:gosec // small
			if got := m.shows(); got != truth.shows() {
				t.Fatalf("%s after the backlog began, the model shows %q", time.Duration(i+1)*doubtFor/3, got)
			}
			m.RefreshUsers()
		}
	})
}

// The truth counts while a backlog of old news pours in: what it does not change
// says nothing of whom it is about.
func TestOldNewsDuringReading(t *testing.T) {
	truth := newStore(4)
	m := newModel(t, truth)
	m.Stale(false)
	if err := m.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Stale(true)
	var backlog []messages.Event
	for range 3 {
		backlog = append(backlog, truth.start(0, 0)...)
		backlog = append(backlog, truth.end(0)...)
		backlog = append(backlog, truth.start(1, 0)...)
		backlog = append(backlog, truth.end(1)...)
	}
	truth.start(0, 0)
	truth.start(1, 1)
	m.Stale(false)
	m.cfg.Truth = &frozen{store: truth, then: func() {
		for i, e := range backlog {
			m.Apply(Offset{Seq: uint64(i + 1)}, e)
		}
	}}
	if err := m.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := m.shows(), truth.shows(); got != want {
		t.Errorf("the model shows %q, want %q", got, want)
	}
}

// What ended while the truth was being read does not come back by it.
func TestEndedDuringReading(t *testing.T) {
	truth := newStore(4)
	m := newModel(t, truth)
	truth.start(0, 0) // never told
	m.cfg.Truth = &frozen{store: truth, then: func() { m.Committed(truth.end(0)) }}
	if err := m.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := m.shows(), truth.shows(); got != want {
		t.Errorf("the model shows %q, want %q", got, want)
	}
}
