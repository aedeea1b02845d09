package natsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/messages"
)

// Reports is the engine as the ingester needs it. Answers say what is on stable
// storage. Its methods are safe for concurrent use.
type Reports interface {
	ReportStarted(ctx context.Context, r messages.ReportStarted) messages.Answer
	ReportEnded(ctx context.Context, r messages.ReportEnded) messages.Answer
	// Reachable reports whether the store is believed to answer.
	Reachable() bool
}

// Lookup finds whom events name by address and by number.
type Lookup interface {
	// UsersByEmail returns the ids of those addresses that accounts have, under
	// the addresses as they were given.
	UsersByEmail(ctx context.Context, emails []string) (map[string]messages.UserID, error)
	// ClientsByPhone answers each query, in their order.
	ClientsByPhone(ctx context.Context, queries []messages.PhoneQuery) ([]messages.PhoneMatch, error)
}

const (
	// inHand is how many events a node has in hand at once; with maxReport it
	// bounds its memory, whatever waits in the stream.
	inHand = 1024
	// fetchMost and fetchBytes bound one request for events.
	fetchMost, fetchBytes = 256, 4 << 20
	// keepAlive is how often a node says that it is still at work on what it has
	// in hand.
	keepAlive = ackWait / 3
	// askWithin is longer than the engine ever takes.
	askWithin = 15 * time.Second

	reachablePoll = 50 * time.Millisecond

	// deadWaitMost is how long an event waits at most whose letter cannot be
	// written.
	deadWaitMost = 10 * time.Minute
)

// ingestTiming is what tests shorten.
type ingestTiming struct {
	fetchWait  time.Duration // how long one request waits for the first event; a stop waits for it
	tries      int           // of an event whose user or client is not there
	between    func(tries int) time.Duration
	storeWait  time.Duration // between two tries while the store is away, at most
	holdMost   time.Duration // how long an event without an answer stays in hand while the store is there
	stuckMost  int           // how often, before it is given up
	deadWait   time.Duration // before a letter that could not be written is tried again, the first time
	countEvery time.Duration
}

func usualIngestTiming() ingestTiming {
	return ingestTiming{
		fetchWait: time.Second,
		// A second, two, four, … half a minute: about a minute in all, within
		// which whoever imports people and clients may be done.
		tries: 7, between: func(tries int) time.Duration {
			return min(time.Second<<min(tries-1, 5), 32*time.Second)
		},
		storeWait: time.Second, holdMost: 10 * time.Second, stuckMost: 5, deadWait: 10 * time.Second, countEvery: countEvery,
	}
}

// Ingester takes call events of other services from the ingest stream. One
// goroutine reads; each user with events in hand has one that works them off in
// order.
type Ingester struct {
	engine   Reports
	lookup   Lookup
	js       jetstream.JetStream
	link     *link
	cfg      IngestConfig
	replicas int
	metrics  *ingestMetrics
	log      *slog.Logger
	now      func() time.Time
	timing   ingestTiming

	hand     *hand
	tally    *tally
	durable  *barrier
	keepers  *keepers      // of the letters
	answered atomic.Uint64 // events that have had their effect
	unburied atomic.Int64  // when a letter could not be written; zero: they can
	stopping chan struct{}
	done     chan struct{}
	cancel   context.CancelFunc // gives up what is under way
	start    sync.Once
	stop     sync.Once
}

// NewIngester returns the ingester of a node; it does nothing until it is
// started. Its metrics can be registered once.
func (b *Bus) NewIngester(engine Reports, lookup Lookup) (*Ingester, error) {
	return b.newIngester(engine, lookup, usualIngestTiming())
}

func (b *Bus) newIngester(engine Reports, lookup Lookup, t ingestTiming) (*Ingester, error) {
	m, err := newIngestMetrics(b.cfg.Metrics, engine.Reachable)
	if err != nil {
		return nil, err
	}
	return &Ingester{
		engine: engine, lookup: lookup, js: b.js, link: b.link, cfg: b.cfg.Ingest, replicas: b.cfg.Stream.Replicas,
		metrics: m, log: b.log("ingest"), now: b.cfg.Now, timing: t,
		hand: newHand(inHand), tally: newTally(tallied), durable: &barrier{flush: b.durable}, keepers: b.keepers(DeadStreamName), stopping: make(chan struct{}), done: make(chan struct{}),
	}, nil
}

// Start begins to take events. It can be repeated.
func (in *Ingester) Start() {
	in.start.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		in.cancel = cancel
		alive, over := context.WithCancel(ctx)
		var all sync.WaitGroup
		all.Go(func() {
			defer over()
			in.run(ctx)
		})
		all.Go(func() { in.keepAlive(alive) })
		go func() {
			all.Wait()
			cancel()
			close(in.done)
		}()
	})
}

// Stop takes no more events, and waits for those in hand until ctx ends; what is
// left then is done by another node or after the next start. It can be repeated;
// an ingester that was not started cannot be started afterwards.
func (in *Ingester) Stop(ctx context.Context) error {
	in.start.Do(func() { close(in.done) })
	in.stop.Do(func() { close(in.stopping) })
	select {
	case <-in.done:
		return nil
	case <-ctx.Done():
	}
	in.cancel()
	<-in.done
	return fmt.Errorf("stopping with call events in hand; they stay in the stream: %w", ctx.Err())
}

func (in *Ingester) run(ctx context.Context) {
	defer in.hand.wait()
	trouble := false
	for failures := 0; !in.over(ctx); {
		began := in.now()
		err := in.follow(ctx, func() {
			if trouble {
				in.log.Info("call events are taken again")
			}
			trouble = false
		})
		if err == nil {
			return
		}
		if in.now().Sub(began) > time.Minute {
			failures = 0
		}
		failures++
		if !trouble && !in.over(ctx) {
			in.log.Warn("no call events are taken; they wait in the stream", "error", err)
		}
		trouble = true
		in.rest(ctx, retryDelay(failures))
	}
}

func (in *Ingester) over(ctx context.Context) bool {
	select {
	case <-in.stopping:
		return true
	default:
		return ctx.Err() != nil
	}
}

// rest waits before the next try, or until the connection changes.
func (in *Ingester) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	_, changed := in.link.state()
	select {
	case <-timer.C:
	case <-changed:
	case <-in.stopping:
	case <-ctx.Done():
	}
}

// follow takes events until something is wrong, or nil when it is to stop. It
// calls well when events can be taken.
func (in *Ingester) follow(ctx context.Context, well func()) error {
	if up, _ := in.link.state(); !up {
		return nats.ErrDisconnected
	}
	attach, cancel := context.WithTimeout(ctx, attachTimeout)
	consumer, err := ingestStreams(attach, in.js, in.cfg, in.replicas, in.log)
	cancel()
	if err != nil {
		return err
	}
	well()
	counting, stop := context.WithCancel(ctx)
	var counter sync.WaitGroup
	counter.Go(func() { in.count(counting, consumer) })
	defer counter.Wait()
	defer stop()
	for in.awaitStore(ctx) {
		n := in.hand.take(ctx, in.stopping, fetchMost)
		if n == 0 {
			return nil
		}
		if err := in.fetch(ctx, consumer, n); err != nil {
			return err
		}
	}
	return nil
}

// awaitStore waits until the engine takes commands: what is in the stream waits
// better there. It reports false when it is time to stop.
func (in *Ingester) awaitStore(ctx context.Context) bool {
	for !in.over(ctx) {
		if in.engine.Reachable() {
			return true
		}
		in.rest(ctx, reachablePoll)
	}
	return false
}

// fetch requests up to n events, for which there is room in hand, and begins
// them.
func (in *Ingester) fetch(ctx context.Context, consumer jetstream.Consumer, n int) error {
	taken := 0
	defer func() { in.hand.giveBack(n - taken) }()
	batch, err := consumer.Fetch(n, jetstream.FetchMaxWait(in.timing.fetchWait), jetstream.FetchMaxBytes(fetchBytes))
	if err != nil {
		return fmt.Errorf("fetching call events: %w", err)
	}
	for {
		group := together(batch.Messages())
		if len(group) == 0 {
			break
		}
		taken += len(group)
		in.begin(ctx, group)
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoMessages) && !errors.Is(err, jetstream.ErrMaxBytesExceeded) {
		return fmt.Errorf("fetching call events: %w", err)
	}
	return nil
}

// together waits for a message and returns it with those that have come as well;
// none when there are no more to come.
func together(from <-chan jetstream.Msg) []jetstream.Msg {
	first, ok := <-from
	if !ok {
		return nil
	}
	group := []jetstream.Msg{first}
	for {
		select {
		case msg, ok := <-from:
			if !ok {
				return group
			}
			group = append(group, msg)
		default:
			return group
		}
	}
}

// keepAlive tells the server that events are still in hand.
func (in *Ingester) keepAlive(ctx context.Context) {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			in.hand.each(func(e *event) { _ = e.msg.InProgress() }) // else it comes again, and is recognised
		case <-ctx.Done():
			return
		}
	}
}

// count keeps the gauges, and says how many events were given up.
func (in *Ingester) count(ctx context.Context, consumer jetstream.Consumer) {
	tick := time.NewTicker(in.timing.countEvery)
	defer tick.Stop()
	for {
		in.countOnce(ctx, consumer)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (in *Ingester) countOnce(ctx context.Context, consumer jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	if info, err := consumer.Info(ctx); err == nil {
		in.metrics.pending.Store(int64(info.NumPending))
		in.metrics.unacked.Store(int64(info.NumAckPending))
	}
	stream, err := in.js.Stream(ctx, DeadStreamName)
	if err != nil {
		return
	}
	n := int64(stream.CachedInfo().State.Msgs)
	switch before := in.metrics.letters.Swap(n); {
	case before == unknownLetters && n > 0:
		in.log.Warn("there are call events that could not be applied; 'dibs dead list' shows them", "all", n)
	case before != unknownLetters && n > before:
		in.log.Warn("call events could not be applied; 'dibs dead list' shows them", "more", n-before, "all", n)
	}
}
