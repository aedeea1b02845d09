package natsapi

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/time/rate"

	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/transport/spans"
	"github.com/dibs-calls/dibs/transport/wire"
)

const (
	rpcName   = "dibs"
	rpcPrefix = "dibs.rpc."

	rpcTimeout     = 5 * time.Second // as over HTTP
	rpcLongest     = 30 * time.Second
	rpcMaxInFlight = 4096
	flushWithin    = time.Second
	// What waits behind the goroutine that takes requests in. It only hands
	// them on, so that there is a queue only when the processor is short.
	rpcPendingMessages = 16 << 10
	rpcPendingBytes    = 32 << 20
)

// ServiceConfig is what a [Service] is made of.
type ServiceConfig struct {
	Calls  wire.Calls
	People wire.People
	// Directory, if set, lets requests name users by address and clients by
	// number (user_email, client_phone).
	Directory wire.Directory
	// InProgress, if set, is asked for the calls in progress.
	InProgress InProgress
	// Reachable reports whether the store is believed to answer; nil: it always
	// is. While it is not, requests are refused at once.
	Reachable   func() bool
	Version     string        // of the program; one that is not semantic becomes 0.0.0
	Timeout     time.Duration // of a request that names none; zero: 5 s
	MaxInFlight int           // requests in the engine at a time; zero: 4096
	// Admission says which requests are taken on when there are too many; it is the
	// same for all ways into the process. Nil: one of its own.
	Admission *admission.Limiter
	// RateLimit is how many requests a second each name may make, and those
	// without one together; zero: no limit. A name may use up one second's worth
	// at once.
	RateLimit float64
	Tracing   *spans.Tracing // nil: there is none
}

// Service answers requests over NATS, as the micro service "dibs". The nodes of
// a deployment share the requests.
//
// A request does what it does over HTTP, with the same JSON: dibs.rpc.start,
// dibs.rpc.end and dibs.rpc.renew take the body of PUT /api/user-status (the
// action may be left out; user_id, or user_email, may not), dibs.rpc.availability takes
// {"client_id":…}, dibs.rpc.status gives the calls in progress, in pages
// ([StatusAnswer]). A refusal has the same body as over HTTP, and the headers
// Nats-Service-Error (the code of the closed set), Nats-Service-Error-Code (the
// status that HTTP gives) and, where it is worth trying again, Retry-After.
//
// Headers of a request: Idempotency-Key, as over HTTP; Dibs-Timeout, how long
// the caller waits for the answer, as Go writes durations ("1.5s"); traceparent,
// where there is tracing.
//
// Who is asking: NATS says who may publish on a subject and does not tell us
// who did. Whoever may publish on dibs.rpc.> is a service and acts for any
// user. Each subject exists a second time with a name at its end
// (dibs.rpc.start.floor7): a server that lets a caller publish under that name
// alone vouches for it, and idempotency keys of different names are different
// keys. Those that come without a name share one scope.
//
// A request is handled on a goroutine of its own, so that one that waits for a
// commit holds up nobody. Beyond MaxInFlight it is refused at once. One name has
// at most half of these places (and those without a name have together), so that
// a dialer that asks too much is refused before others are.
type Service struct {
	cfg     ServiceConfig
	desk    *wire.Desk
	nc      *nats.Conn
	log     *slog.Logger
	busyLog *rate.Sometimes // 503s: under overload, logging each would add to it
	metrics *rpcMetrics
	micro   micro.Service // set by Start

	callers  *rpcCallers
	seed     maphash.Seed  // of callers, for admission
	readings *readings     // for status
	places   chan struct{} // one taken for each request in the engine

	mu       sync.RWMutex
	stopping bool           // guarded by mu
	busy     sync.WaitGroup // raised with mu held for reading
}

// NewService makes a service, and registers its metrics; it answers nothing
// until it is started.
func (b *Bus) NewService(cfg ServiceConfig) (*Service, error) {
	if cfg.Calls == nil || cfg.People == nil {
		return nil, errors.New("natsapi: Calls and People are required")
	}
	if cfg.Reachable == nil {
		cfg.Reachable = func() bool { return true }
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = rpcTimeout
	}
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = rpcMaxInFlight
	}
	if cfg.Admission == nil {
		cfg.Admission = admission.New(admission.Options{Most: cfg.MaxInFlight})
	}
	s := &Service{
		cfg: cfg, desk: wire.NewDesk(cfg.Calls, cfg.People, b.cfg.Now), nc: b.link.nc, log: b.log("rpc"),
		busyLog: &rate.Sometimes{First: 10, Interval: time.Second}, places: make(chan struct{}, cfg.MaxInFlight),
		seed: maphash.MakeSeed(), callers: newRPCCallers(cfg.RateLimit, max(1, cfg.MaxInFlight/2)),
	}
	if cfg.Directory != nil {
		s.desk.SetDirectory(cfg.Directory, b.cfg.Ingest.Region)
	}
	s.readings = newReadings(cfg.InProgress, s.busy.Go)
	var err error
	s.metrics, err = newRPCMetrics(b.cfg.Metrics, func() int { return len(s.places) })
	return s, err
}

// Start begins to answer. NATS need not be there: the subscriptions are made as
// soon as it is.
func (s *Service) Start() (err error) {
	s.micro, err = micro.AddService(s.nc, micro.Config{
		Name: rpcName, Version: semantic(s.cfg.Version), QueueGroup: rpcName,
		Description:  "Start, end and renew calls, and ask whether a client can be called.",
		Metadata:     map[string]string{"errors": "Nats-Service-Error is the code, Nats-Service-Error-Code the HTTP status"},
		StatsHandler: s.metrics.stats,
		ErrorHandler: func(_ micro.Service, err *micro.NATSError) {
			s.metrics.dropped.WithLabelValues("queue").Inc()
			s.busyLog.Do(func() { s.log.Warn("requests over NATS", "error", err) })
		},
	})
	if err != nil {
		return fmt.Errorf("answering requests over NATS: %w", err)
	}
	for _, e := range s.endpoints() {
		for _, name := range [][2]string{{e.name, rpcPrefix + e.name}, {e.name + "-as", rpcPrefix + e.name + ".*"}} {
			err := s.micro.AddEndpoint(name[0], micro.HandlerFunc(func(r micro.Request) { s.take(&e, name[0], r) }),
				micro.WithEndpointSubject(name[1]), micro.WithEndpointMetadata(e.metadata()),
				micro.WithEndpointPendingLimits(rpcPendingMessages, rpcPendingBytes))
			if err != nil {
				return fmt.Errorf("answering requests over NATS: %w", err)
			}
		}
	}
	if s.nc.IsConnected() {
		// Else a request of the first moment would go to nobody. A server that is away
		// hears of the endpoints when it is back.
		if err := s.nc.FlushTimeout(flushWithin); err != nil {
			s.log.Warn("NATS has not confirmed yet that requests are answered here", "error", err)
		}
	}
	return nil
}

// Stop takes no more requests and waits for those under way, at the latest
// until ctx ends. It can be repeated.
func (s *Service) Stop(ctx context.Context) error {
	var err error
	if s.micro != nil && !s.micro.Stopped() && !s.nc.IsClosed() {
		err = s.micro.Stop()
		// What the server had sent us by now has come.
		flush, cancel := context.WithTimeout(ctx, flushWithin)
		defer cancel()
		if ferr := s.nc.FlushWithContext(flush); ferr != nil {
			s.log.Debug("stopping without a word from NATS", "error", ferr)
		}
	}
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.busy.Wait(); close(done) }()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}

// take hands a request on. It runs on the goroutine of the subscription.
func (s *Service) take(e *endpoint, name string, r micro.Request) {
	x := &rpc{service: s, endpoint: e, name: name, reply: r.Reply(), subject: r.Subject(), header: r.Headers(), body: r.Data(), began: time.Now()}
	if !answerable(x.reply) {
		s.metrics.dropped.WithLabelValues("reply").Inc()
		s.log.Debug("a request that cannot be answered is dropped", "subject", x.subject, "reply", x.reply)
		return
	}
	x.begin()
	who := x.scope()
	pass, p := s.enter(who, e.class)
	if p != nil {
		x.finish(nil, p)
		return
	}
	go func() {
		defer s.leave(who, pass, x)
		x.serve()
	}()
}

// enter takes a place in the engine. It never waits: a queue here would only
// make everybody late.
func (s *Service) enter(who string, class admission.Class) (pass admission.Pass, p *wire.Problem) {
	if !s.cfg.Reachable() {
		return pass, unavailable()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.stopping {
		return pass, unavailable()
	}
	if p := s.callers.enter(who, time.Now()); p != nil {
		return pass, p
	}
	pass, ok := s.cfg.Admission.Enter(class, byte(maphash.String(s.seed, who)))
	if !ok {
		s.callers.leave(who)
		return pass, s.overloaded()
	}
	select {
	case s.places <- struct{}{}:
		s.busy.Add(1)
		return pass, nil
	default:
		s.cfg.Admission.Leave(pass, false)
		s.callers.leave(who)
		return pass, s.overloaded()
	}
}

func (s *Service) leave(who string, pass admission.Pass, x *rpc) {
	s.cfg.Admission.Leave(pass, x.endpoint.paced && x.done)
	s.callers.leave(who)
	<-s.places
	s.busy.Done()
}

// serve answers one request.
func (x *rpc) serve() {
	defer func() {
		if v := recover(); v != nil {
			x.finish(nil, wire.Internal("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	timeout, err := x.check()
	if err != nil {
		x.finish(nil, err)
		return
	}
	ctx, cancel := context.WithTimeout(x.context(), timeout)
	defer cancel()
	answer, err := x.endpoint.handle(ctx, x)
	x.finish(answer, err)
}
