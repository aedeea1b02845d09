package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a [Model] is made of. Fields without "default" are required.
type Config struct {
	Truth   Truth
	Feed    Feed // default: LocalFeed
	Log     *slog.Logger
	Metrics prometheus.Registerer

	Now            func() time.Time // default: time.Now
	ReconcileEvery time.Duration    // default 30 s
	// Settle is how long events that were under way while the truth was read
	// may take to arrive, so that they do not count as drift. Default 250 ms.
	Settle time.Duration
	// WakeEvery is the least time between two wakes of all readers: what
	// happens in between reaches them together. Default 20 ms: at 400 events a
	// second, waking 1,000 readers for each would take more than two cores.
	WakeEvery time.Duration
	PingEvery time.Duration // between heartbeats; default 15 s
	// RingBytes bounds the frames that are kept for readers which lag or come
	// back. Default 16 MiB: the better part of a minute at 400 events a second.
	RingBytes int
}

func (c *Config) setDefaults() error {
	if c.Truth == nil || c.Log == nil || c.Metrics == nil {
		return errors.New("live: Truth, Log and Metrics are required")
	}
	if c.Feed == nil {
		c.Feed = LocalFeed{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	for d, otherwise := range map[*time.Duration]time.Duration{
		&c.ReconcileEvery: 30 * time.Second, &c.Settle: 250 * time.Millisecond,
		&c.WakeEvery: 20 * time.Millisecond, &c.PingEvery: 15 * time.Second,
	} {
		if *d <= 0 {
			*d = otherwise
		}
	}
	if c.RingBytes <= 0 {
		c.RingBytes = 16 << 20
	}
	return nil
}

// Model is the read model of one node. It is safe for concurrent use.
type Model struct {
	cfg       Config
	epoch     string // of this process; names versions and readers' positions
	hub       *hub
	list      *list
	snapshots snapshots
	metrics   *metrics
	kick      chan struct{} // asks for a reconciliation now

	mu       sync.Mutex // guards what follows, and the order of frames in the hub
	state    *state
	position Offset
	loaded   bool      // the truth was read once
	lost     bool      // the feed says so
	found    bool      // the feed was attached once
	missed   uint64    // how often events were missed, or came late
	healed   uint64    // of these, how often the truth has made up for it
	gap      uint64    // which of these was the last Reset
	madeUp   time.Time // when a reading last made up for what was missed
	stale    bool      // what readers were told last
	doubted  time.Time // when the feed last brought a start that was in doubt
	since    *touched  // not nil while the truth is being read
}

// New makes a model that knows nothing yet; see [Model.Run].
func New(cfg Config) (*Model, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	m := &Model{cfg: cfg, epoch: rand.Text()[:12], state: newState(cfg.Now()), lost: true, stale: true, kick: make(chan struct{}, 1)}
	m.list = newList(m)
	m.hub = newHub(m.epoch, cfg)
	var err error
	if m.metrics, err = newMetrics(m, cfg.Metrics); err != nil {
		return nil, fmt.Errorf("live: registering metrics: %w", err)
	}
	return m, nil
}

// Run keeps the model up to date until ctx ends, and then ends all streams. It
// is called once.
func (m *Model) Run(ctx context.Context) {
	m.hub.open() // before anything is loaded, and somebody can read
	var all sync.WaitGroup
	all.Go(func() { m.hub.run(ctx) })
	all.Go(func() { m.runFeed(ctx) })
	all.Go(func() { m.keepTrue(ctx) })
	all.Wait()
}

const feedPause = time.Second

// runFeed runs the feed again if it should give up.
func (m *Model) runFeed(ctx context.Context) {
	for ctx.Err() == nil {
		err := m.cfg.Feed.Run(ctx, m)
		if ctx.Err() != nil {
			return
		}
		m.Stale(true)
		m.cfg.Log.Warn("the feed of status events stopped; starting it again", "cause", err)
		select {
		case <-ctx.Done():
		case <-time.After(feedPause):
		}
	}
}

// Committed takes what this node has committed. It is called before anybody is
// told, so that whoever was told sees it; it takes some microseconds an event.
func (m *Model) Committed(events []messages.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range events {
		m.take(&events[i], false)
	}
}

// Apply implements [Sink].
func (m *Model) Apply(at Offset, e messages.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at.Epoch != m.position.Epoch {
		m.resetLocked(at) // a feed that forgot to say so
	} else if at.Seq <= m.position.Seq {
		return
	}
	m.position = at
	m.take(&e, true)
}

// take needs m.mu.
func (m *Model) take(e *messages.Event, fromStream bool) {
	people := len(m.state.people)
	changes := m.state.apply(e, fromStream)
	m.since.add(e, changes)
	source := m.metrics.fromNode
	if fromStream {
		source = m.metrics.fromStream
	}
	m.publish(changes, source)
	if m.loaded && (len(m.state.people) > people || m.state.doubted) {
		m.RefreshUsers() // somebody new: there may be more of them
	}
	if m.state.doubted {
		m.state.doubted, m.doubted = false, m.cfg.Now()
	}
}

// publish needs m.mu. It makes what changed visible to everybody.
func (m *Model) publish(changes []messages.Event, source prometheus.Counter) {
	m.list.version.Store(m.state.version)
	if len(changes) == 0 {
		return
	}
	source.Add(float64(len(changes)))
	m.hub.append(changes)
}

// Position implements [Sink].
func (m *Model) Position() Offset {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.position
}

// Reset implements [Sink].
func (m *Model) Reset(at Offset) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resetLocked(at)
}

func (m *Model) resetLocked(at Offset) {
	m.position = at
	m.owe()
	m.gap = m.missed
}

// owe needs m.mu. It has the truth read soon, and everybody told "stale" until
// then. What others committed before now may only come now.
func (m *Model) owe() {
	m.missed++
	m.state.doubt = m.cfg.Now()
	m.tellStale()
	m.RefreshUsers()
}

// Stale implements [Sink]. When the feed is back, the truth is read before
// anybody is told so: what other nodes committed meanwhile may still be in their
// outbox, and a large backlog takes its time.
func (m *Model) Stale(stale bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	back := m.lost && !stale
	m.lost = stale
	if back && m.found {
		m.owe()
	}
	m.found = m.found || back
	m.tellStale()
}

// tellStale needs m.mu. It tells readers when it has become another.
func (m *Model) tellStale() {
	stale := m.lost || m.missed != m.healed
	if stale == m.stale {
		return
	}
	m.stale = stale
	m.state.version++ // the list says so too
	m.list.version.Store(m.state.version)
	m.hub.tellStale(stale)
	m.cfg.Log.Info("live status", "stale", stale)
}

func (m *Model) isStale() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stale
}

// Loaded reports whether the store was read once: before that there is nothing
// to serve.
func (m *Model) Loaded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loaded
}

func (m *Model) size() (users, calls int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.state.people {
		if p.listed {
			users++
		}
	}
	return users, len(m.state.holders)
}

// errNotLoaded is what is answered before the store was read once.
func errNotLoaded() error {
	return &messages.Error{Code: messages.CodeUnavailable, Sentence: "The server has not read the list of users yet. Please try again."}
}
