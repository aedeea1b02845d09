package actors

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/dibs-calls/dibs/actors/client"
	"github.com/dibs-calls/dibs/actors/internal/wire"
	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

// Config is what a [System] is made of.
type Config struct {
	Journal  Journal
	Reader   Reader
	Logger   *slog.Logger
	Observer Observer // nil: none
	// Committed is told of every call that was started or ended here, once it
	// is on stable storage and before anybody is answered. It is called from
	// several goroutines, in order for one client, must be quick, and must not keep
	// the slice. Nil: nobody.
	Committed func([]messages.Event)
	Now       func() time.Time // nil: time.Now; must be monotonic
	// Writers is how many batches may be committed at the same time; zero is two:
	// enough to write one while the other waits for the disk. A store with one writer
	// wants one.
	Writers int
	// Shared says that other processes write to the same store. Then nothing is
	// answered from memory: a refusal and a question about availability cost a
	// read.
	Shared bool
	// Trusted says whether what this process remembers of the store may be told, where it
	// has the store for itself only as long as it goes on saying so: nobody else can have
	// been let in. It must be quick. Nil: always. While it does not, commands and questions
	// are refused, as they are while the store cannot be reached.
	Trusted func() bool
	// Placement says where actors live when there are several nodes. Nil: all of them
	// live here, and nothing is asked.
	Placement Placement
	// SweepEvery is how often expired leases are looked for; zero is a second.
	SweepEvery time.Duration
	// RetireAfter is how long an actor stays awake unused, at least; zero is a
	// minute.
	RetireAfter time.Duration
}

// System is the claim engine of one process: the way in for commands, and the
// owner of all actors. Its methods are safe for concurrent use.
type System struct {
	config  Config
	reader  Reader
	now     func() time.Time
	gate    *gate
	workers *workers
	actors  *actor.ActorSystem
	users   *directory
	clients *directory
	journal *journalRef
	codec   *wire.Codec // nil: all actors live here

	userLoads   *collector[load]
	userSeeks   *collector[seek]
	clientLooks *collector[look]

	seats         seats
	userEffects   rooms[user.Effect]
	clientEffects rooms[client.Effect]

	incarnations atomic.Uint32
	stopSweep    context.CancelFunc
	sweeping     sync.WaitGroup

	mu       sync.RWMutex
	stopping bool           // guarded by mu
	stopped  chan struct{}  // closed once everything has stopped
	stopErr  error          // set before stopped is closed
	asks     sync.WaitGroup // callers being served; raised with mu held for reading
}

// journalRef is the journal actor with its writers.
type journalRef struct {
	root    *actor.RootContext
	pid     *actor.PID
	writers []*writer
	writing sync.WaitGroup
}

func (j *journalRef) send(m any) { j.root.Send(j.pid, m) }

// stop writes what the journal has, as long as ctx allows, and stops it.
func (j *journalRef) stop(ctx context.Context) error {
	done := make(chan struct{})
	j.send(finish{done: done})
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = j.root.StopFuture(j.pid).Wait()
	for _, w := range j.writers {
		close(w.batches)
	}
	j.writing.Wait()
	return err
}

// NewSystem starts a system. [System.Stop] must be called.
func NewSystem(c Config) *System {
	c.setDefaults()
	s := &System{config: c, reader: c.Reader, now: c.Now, stopped: make(chan struct{})}
	if c.Placement != nil {
		s.codec = wire.NewCodec()
	}
	s.workers = startWorkers()
	s.gate = newGate(c.Reader.Ping, c.Logger, c.Observer)
	s.actors = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler) // failures are reported by supervise
	}))
	s.users = newDirectory(s.actors.Root, s.props("user", func() actor.Actor { return &userShell{system: s} }), s.admits())
	s.clients = newDirectory(s.actors.Root, s.props("client", func() actor.Actor { return &clientShell{system: s} }), s.admits())
	s.userLoads = newCollector(maxBatch, s.loadUsers)
	s.userSeeks = newCollector(maxBatch, s.seekCalls)
	s.clientLooks = newCollector(maxBatch, s.lookUpClients)
	s.journal = s.startJournal()
	ctx, cancel := context.WithCancel(context.Background())
	s.stopSweep = cancel
	s.sweeping.Go(func() { s.sweep(ctx) })
	return s
}

func (c *Config) setDefaults() {
	if c.Observer == nil {
		c.Observer = NoObserver{}
	}
	if c.Committed == nil {
		c.Committed = func([]messages.Event) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Writers == 0 {
		c.Writers = 2
	}
	if c.SweepEvery == 0 {
		c.SweepEvery = time.Second
	}
	if c.RetireAfter == 0 {
		c.RetireAfter = time.Minute
	}
}

func (s *System) props(kind string, shell actor.Producer) *actor.Props {
	return actor.PropsFromProducer(shell,
		actor.WithGuardian(s.supervise(kind)),
		actor.WithMailbox(s.workers.mailboxes(fewKept)),
	)
}

func (s *System) supervise(kind string) actor.SupervisorStrategy {
	return &supervisor{kind: kind, logger: s.config.Logger, observer: s.config.Observer}
}

func (s *System) startJournal() *journalRef {
	ref := &journalRef{root: s.actors.Root}
	j := &journal{batches: newBatches(s.config.Writers)}
	for range s.config.Writers {
		w := &writer{
			store: s.config.Journal, gate: s.gate, observer: s.config.Observer, users: s.users,
			tell: s.config.Committed, journal: ref.send, batches: make(chan []entry, 1),
			stall: s.gate.watch(errStalled),
		}
		j.free, ref.writers = append(j.free, w), append(ref.writers, w)
	}
	ref.pid = s.actors.Root.Spawn(actor.PropsFromProducer(
		func() actor.Actor { return j }, // what it has collected outlives a panic
		actor.WithGuardian(s.supervise("journal")), actor.WithMailbox(s.workers.mailboxes(manyKept)),
	))
	for _, w := range ref.writers {
		ref.writing.Go(w.run)
	}
	return ref
}

// StartCall claims a client. See [messages.StartCall].
func (s *System) StartCall(ctx context.Context, c messages.StartCall) messages.Answer {
	if caller := s.seenCalling(c); caller != nil {
		return messages.Answer{Code: messages.CodeClientBeingCalled, Caller: caller}
	}
	return s.command(ctx, c.User, c)
}

// EndCall ends a call. See [messages.EndCall].
func (s *System) EndCall(ctx context.Context, c messages.EndCall) messages.Answer {
	return s.command(ctx, c.User, c)
}

// SaveLog saves a log and ends the call that it is about. See
// [messages.SaveLog].
func (s *System) SaveLog(ctx context.Context, c messages.SaveLog) messages.Answer {
	return s.command(ctx, c.User, c)
}

// RenewCall renews a lease. See [messages.RenewCall].
func (s *System) RenewCall(ctx context.Context, c messages.RenewCall) messages.Answer {
	return s.command(ctx, c.User, c)
}

// ReportStarted takes the report of a telephony service that a call began. See
// [messages.ReportStarted].
func (s *System) ReportStarted(ctx context.Context, c messages.ReportStarted) messages.Answer {
	return s.command(ctx, c.User, c)
}

// ReportEnded takes the report that a call is over. See [messages.ReportEnded].
func (s *System) ReportEnded(ctx context.Context, c messages.ReportEnded) messages.Answer {
	return s.command(ctx, c.User, c)
}

// command puts do to the user's actor and waits for the answer. When ctx ends
// first the answer is CodeOutcomeUnknown: what was being committed goes on.
func (s *System) command(ctx context.Context, u messages.UserID, do any) messages.Answer {
	if s.config.Placement != nil {
		return s.commandAnywhere(ctx, u, do)
	}
	return s.commandHere(ctx, u, do)
}

func (s *System) commandHere(ctx context.Context, u messages.UserID, do any) messages.Answer {
	if !s.enter() {
		return messages.Answer{Code: messages.CodeUnavailable}
	}
	defer s.asks.Done()
	seat := s.seats.take()
	asked := &struct { // one allocation for what is needed for as long
		ask[messages.Answer]
		command user.Command
	}{ask: askFrom[messages.Answer](seat)}
	if again, ok := do.(wire.StartAgain); ok {
		do = user.StartAgain{StartCall: again.Start}
	}
	asked.command = user.Command{Asker: &asked.ask, Do: do}
	if !s.users.send(u.UUID, &asked.command) {
		s.seats.leave(seat)
		return messages.Answer{Code: notHere}
	}
	if !seat.wait(ctx) {
		s.users.sendIfAwake(u.UUID, user.GiveUp{Asker: &asked.ask})
		return messages.Answer{Code: messages.CodeOutcomeUnknown}
	}
	s.seats.leave(seat)
	return asked.given
}

// Availability says whether a client can be called now, from the claim itself:
// after a start was acknowledged nobody is told that the client is available.
func (s *System) Availability(ctx context.Context, c messages.ClientID) messages.Availability {
	if seen, ok := s.seenAvailability(c); ok {
		return seen
	}
	if s.config.Placement != nil {
		return s.availabilityAnywhere(ctx, c)
	}
	return s.availabilityHere(ctx, c)
}

func (s *System) availabilityHere(ctx context.Context, c messages.ClientID) messages.Availability {
	if !s.enter() {
		return messages.Availability{Code: messages.CodeUnavailable}
	}
	defer s.asks.Done()
	seat := s.seats.take()
	a := askFrom[messages.Availability](seat)
	if !s.clients.send(c.UUID, client.Check{Asker: &a}) {
		s.seats.leave(seat)
		return messages.Availability{Code: notHere}
	}
	if !seat.wait(ctx) {
		s.clients.sendIfAwake(c.UUID, client.GiveUp{Asker: &a})
		return messages.Availability{Code: messages.CodeUnavailable}
	}
	s.seats.leave(seat)
	return a.given
}

// ForgetClient drops what is remembered of a client that was deleted.
func (s *System) ForgetClient(c messages.ClientID) {
	if s.config.Placement != nil {
		s.tell(c.UUID, wire.Forget{Client: c})
	}
	s.clients.sendIfAwake(c.UUID, client.Forget{})
}

// Reachable reports whether the store is believed to answer.
func (s *System) Reachable() bool { return s.gate.open() }

// Ready reports whether commands are being served.
func (s *System) Ready() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.stopping:
		return errors.New("the engine is stopping")
	case !s.gate.open():
		return errors.New("the store cannot be reached")
	case !s.trusted():
		return errors.New("it is not certain that no other server uses the store")
	}
	return nil
}

// Awake returns how many user and client actors there are.
func (s *System) Awake() (users, clients int) { return s.users.count(), s.clients.count() }

func (s *System) trusted() bool { return s.config.Trusted == nil || s.config.Trusted() }

// enter admits a caller; s.asks.Done must follow. What is remembered is to be trusted from
// here on: who is told it later asked before somebody else could change it (I4).
func (s *System) enter() bool {
	if !s.gate.open() || !s.trusted() {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.stopping {
		return false
	}
	s.asks.Add(1)
	return true
}

// Stop refuses new commands, waits until those under way are answered or ctx
// ends, commits what the journal still has, and stops everything. It can be
// repeated: another call waits for the first as long as its own ctx allows, and
// returns what that one returns.
func (s *System) Stop(ctx context.Context) error {
	s.mu.Lock()
	again := s.stopping
	s.stopping = true
	s.mu.Unlock()
	if !again {
		s.stopErr = s.stop(ctx)
		close(s.stopped)
		return s.stopErr
	}
	select {
	case <-s.stopped:
		return s.stopErr
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *System) stop(ctx context.Context) error {
	s.stopSweep()
	s.sweeping.Wait()
	err := s.drain(ctx)
	s.userLoads.close()
	s.userSeeks.close()
	s.clientLooks.close()
	err = errors.Join(err, s.journal.stop(ctx))
	s.gate.close()
	s.actors.Shutdown()
	s.workers.stop()
	return err
}

// drain waits until all callers have their answers.
func (s *System) drain(ctx context.Context) error {
	done := make(chan struct{})
	go func() { s.asks.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
