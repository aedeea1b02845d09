package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/dibs-calls/dibs/actors"
	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/live"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
	"github.com/dibs-calls/dibs/transport/httpapi"
	"github.com/dibs-calls/dibs/transport/natsapi"
)

// runServer serves on ln until ctx ends, then stops cleanly: it accepts nothing
// new, finishes what is under way, and lets the journal write what it has.
// It calls ready once, with the address people use, when requests are accepted.
func runServer(ctx context.Context, cfg serveConfig, ln net.Listener, store persistence.Store, log *slog.Logger, ready func(url string)) (err error) {
	n := &node{cfg: cfg, store: store, log: log, listener: ln, registry: newRegistry()}
	defer func() { err = errors.Join(err, n.stop()) }()
	if err := n.open(ctx); err != nil {
		return err
	}
	return n.serve(ctx, ready)
}

// node is one process: the layers, in the order in which they depend on each
// other.
type node struct {
	cfg      serveConfig
	store    persistence.Store
	log      *slog.Logger
	registry *prometheus.Registry
	tracing  *tracing // nil: there is none

	lost      <-chan error // somebody else has taken the database; nil: cannot happen
	bus       *natsapi.Bus
	publisher *natsapi.Publisher
	model     *live.Model
	engine    *actors.System
	cluster   *cluster // nil: all actors live in this process
	admission *admission.Limiter
	server    *httpapi.Server
	rpc       *natsapi.Service  // nil: requests over NATS are not answered
	ingester  *natsapi.Ingester // nil: call events of other services are not taken
	listener  net.Listener

	background sync.WaitGroup // the model, the upkeep
	cancel     context.CancelFunc
}

func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// open makes all layers and starts what works in the background. What was made
// is stopped by stop, also after an error.
func (n *node) open(ctx context.Context) (err error) {
	if err := os.MkdirAll(n.cfg.Store.Data, 0o700); err != nil {
		return fmt.Errorf("the data folder: %w", err)
	}
	if err := n.occupy(ctx); err != nil {
		return err
	}
	n.tracing = newTracing(ctx, n.cfg.Tracing, n.cfg.Cluster.instance(), n.log)
	bus := n.cfg.NATS.config(n.cfg.Store.Data, n.registry, n.log)
	bus.Ingest.Region = n.cfg.DefaultRegion
	n.cfg.Cluster.apply(&bus)
	if n.bus, err = natsapi.Open(ctx, bus); err != nil {
		return err
	}
	if n.publisher, err = n.bus.NewPublisher(n.store); err != nil {
		return err
	}
	n.model, err = live.New(live.Config{Truth: n.store, Feed: n.bus.NewFeed(), Log: n.log, Metrics: n.registry})
	if err != nil {
		return err
	}
	if n.cluster, err = n.newCluster(); err != nil {
		return err
	}
	n.engine = n.newEngine()
	if err := n.joinCluster(); err != nil {
		return err
	}
	n.admission = admission.New(admission.Options{Fixed: n.cfg.AdmissionLimit})
	if err := n.admission.Register(n.registry); err != nil {
		return err
	}
	if n.server, err = n.newServer(); err != nil {
		return err
	}
	if err := n.answerNATS(); err != nil {
		return err
	}
	if err := n.takeReports(); err != nil {
		return err
	}
	ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	n.background.Go(func() { n.model.Run(ctx) })
	upkeep := newUpkeep(n.store, n.cfg.NATS.Ingest.Remember, time.Duration(n.cfg.Retain), n.registry, n.log)
	upkeep.unheard = n.publish()
	upkeep.start(ctx, n.background.Go)
	return nil
}

// publish begins to publish status events. Where nobody can hear them they wait in the outbox:
// it then returns what bounds them.
func (n *node) publish() *unheard {
	if n.bus.Heard() {
		n.publisher.Start()
		return nil
	}
	age, most := n.bus.EventLimits()
	n.log.Info("status events wait in the store: no other program can reach the NATS inside this one (--nats-listen, --nats-url)",
		"for", age, "bytes", most)
	return &unheard{outbox: n.store, age: age, most: most}
}

// shared reports whether other servers may use the same database. They need a
// NATS in common to hear of each other, so that is how it is said.
func (n *node) shared() bool {
	return n.cfg.Cluster.On || n.cfg.Store.DatabaseURL != "" && n.cfg.NATS.URL != ""
}

// occupy keeps out servers that would not know of this one. The folder of the
// built-in store has a lock of its own.
func (n *node) occupy(ctx context.Context) (err error) {
	store, ok := n.store.(interface {
		Occupy(ctx context.Context, shared bool) (lost <-chan error, err error)
	})
	if !ok {
		return nil
	}
	if pg, ok := n.store.(interface{ OfCluster() }); ok && n.cfg.Cluster.On {
		pg.OfCluster()
	}
	if n.lost, err = store.Occupy(ctx, n.shared()); err != nil {
		return &exitError{exitUnavailable, fmt.Errorf("%w: several servers can share one if each is given the same --nats-url, by which they hear of each other", err)}
	}
	return nil
}

// trusted says whether this server can be sure that it is alone, if it is to be; nil: always.
func (n *node) trusted() func() bool {
	if store, ok := n.store.(interface{ Trusted() bool }); ok && !n.shared() {
		return store.Trusted
	}
	return nil
}

func (n *node) newEngine() *actors.System {
	writers := 0 // as many as is usual
	if n.cfg.Store.DatabaseURL == "" {
		writers = 1 // SQLite has one writer
	}
	metrics := newEngineMetrics(n.registry)
	engine := actors.NewSystem(actors.Config{
		Journal: n.journal(), Reader: n.store, Logger: n.log, Observer: observer{metrics, n.model}, Writers: writers,
		Shared: n.shared() && n.cluster == nil, Placement: n.placement(), Trusted: n.trusted(),
		Committed: func(events []messages.Event) {
			n.model.Committed(events)
			n.publisher.Wake()
		},
	})
	metrics.watch(n.registry, engine)
	return engine
}

func (n *node) newServer() (*httpapi.Server, error) {
	passwords, err := auth.NewPasswords(auth.DefaultParams(), auth.DefaultMemoryBudget)
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(httpapi.Config{
		Calls: n.calls(), Store: telling{n.store, n.engine, n.model}, Statuses: patient{n.model}, Live: n.model,
		Passwords: passwords, Metrics: n.registry, Log: n.log,
		Ready: n.ready, Reachable: n.engine.Reachable, Admission: n.admission, Tracing: n.tracing.transports(),
		Region: n.cfg.DefaultRegion, BehindProxy: n.cfg.BehindProxy,
	})
	if err != nil {
		return nil, err
	}
	return httpapi.NewServer(n.cfg.Cluster.handler(api), httpapi.Limits{}, n.log), nil
}

// answerNATS begins to answer requests over NATS.
func (n *node) answerNATS() (err error) {
	if !n.cfg.NATS.RPC || n.cfg.Cluster.actorsAlone() {
		return nil
	}
	n.rpc, err = n.bus.NewService(natsapi.ServiceConfig{
		Calls: n.calls(), People: n.store, Directory: n.store, InProgress: n.store, Reachable: n.engine.Reachable, Version: release(),
		RateLimit: n.cfg.NATS.RPCRate, Admission: n.admission, Tracing: n.tracing.transports(),
	})
	if err != nil {
		return err
	}
	return n.rpc.Start()
}

// ready says why requests should go elsewhere, if so. Claims do not wait for the
// read model; who asks for the list of users a moment after the start does.
func (n *node) ready(ctx context.Context) error {
	if n.cluster != nil {
		return errors.Join(n.cluster.Ready(), n.cfg.Cluster.checkMembers(n.cluster.Members()), n.engine.Ready(), n.store.Ping(ctx), n.bus.Connected())
	}
	return errors.Join(n.engine.Ready(), n.store.Ping(ctx), n.bus.Ready(ctx))
}

// serve answers requests until ctx ends or the server fails.
func (n *node) serve(ctx context.Context, ready func(url string)) error {
	failed := make(chan error, 1)
	scheme := "http"
	if n.cfg.TLSCert != "" {
		scheme = "https"
		go func() { failed <- n.server.ServeTLS(n.listener, n.cfg.TLSCert, n.cfg.TLSKey) }()
	} else {
		go func() { failed <- n.server.Serve(n.listener) }()
	}
	n.log.Info("serving", "address", n.listener.Addr().String())
	ready(scheme + "://" + n.listener.Addr().String())
	select {
	case <-ctx.Done():
		n.log.Info("stopping")
		return nil
	case err := <-failed:
		return fmt.Errorf("the server failed: %w", err)
	case err := <-n.lost:
		return fmt.Errorf("the connection to the database was away, and meanwhile: %w", err)
	case err := <-n.bus.Lost():
		return err
	}
}

// stop stops the layers from the outside in, each with what it has under way.
// Callers get half of the time: one that never ends its request must not keep
// the rest from being written.
func (n *node) stop() (err error) {
	ctx, done := context.WithTimeout(context.Background(), n.cfg.ShutdownTimeout)
	defer done()
	n.leaveCluster(ctx)
	if n.server != nil {
		n.stopCallers(ctx)
	}
	if n.ingester != nil {
		reports, done := context.WithTimeout(ctx, n.cfg.ShutdownTimeout/4)
		if err := n.ingester.Stop(reports); err != nil {
			n.log.Warn("gave back call events that did not take effect in time", "error", err)
		}
		done()
	}
	if n.engine != nil {
		err = errors.Join(err, named("the engine", n.engine.Stop(ctx)))
	}
	if n.cluster != nil {
		err = errors.Join(err, named("the membership", n.cluster.close(ctx)))
	}
	if n.cancel != nil {
		err = errors.Join(err, named("the publisher of events", n.publisher.Stop(ctx)))
		n.cancel()
		n.background.Wait()
	}
	if n.bus != nil {
		err = errors.Join(err, named("NATS", n.bus.Close(ctx)))
	}
	n.sendSpans(ctx)
	return err
}

// stopCallers takes no more requests. Both ways in stop at the same time: one
// request that never ends over NATS must not leave those over HTTP no time.
func (n *node) stopCallers(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, n.cfg.ShutdownTimeout/2)
	defer done()
	var both sync.WaitGroup
	defer both.Wait()
	if n.rpc != nil {
		both.Go(func() {
			if err := n.rpc.Stop(ctx); err != nil {
				n.log.Warn("broke off requests over NATS that did not end in time", "error", err)
			}
		})
	}
	if err := n.server.Shutdown(ctx); err != nil {
		n.log.Warn("broke off requests that did not end in time")
	}
}

// sendSpans sends those of all other layers, which have stopped. A collector that
// does not answer gets a quarter of the time.
func (n *node) sendSpans(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, n.cfg.ShutdownTimeout/4)
	defer done()
	n.tracing.stop(ctx)
}

func named(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("stopping %s: %w", what, err)
}

// patient is the read model for whoever asks before it has read the store.
type patient struct{ *live.Model }

const firstRead = 4 * time.Second

func (p patient) StatusTag(onCall bool) (string, error) {
	p.wait()
	return p.Model.StatusTag(onCall)
}

func (p patient) StatusBody(onCall, zipped bool) (body []byte, tag string, err error) {
	p.wait()
	return p.Model.StatusBody(onCall, zipped)
}

func (p patient) wait() {
	for deadline := time.Now().Add(firstRead); !p.Loaded() && time.Now().Before(deadline); {
		<-time.After(10 * time.Millisecond)
	}
}

// telling is the store of the HTTP API, with a word to whoever remembers
// clients: to the engine when one is gone, to the read model when one is called
// otherwise.
type telling struct {
	persistence.Store
	engine interface{ ForgetClient(messages.ClientID) }
	model  interface{ ClientsChanged([]messages.Client) }
}

// UpdateClients implements [persistence.Clients].
func (t telling) UpdateClients(ctx context.Context, patches []messages.ClientPatch, audit ...messages.Audit) ([]messages.Client, error) {
	changed, err := t.Store.UpdateClients(ctx, patches, audit...)
	if err == nil {
		t.model.ClientsChanged(changed)
	}
	return changed, err
}

// DeleteClient implements [persistence.Clients].
func (t telling) DeleteClient(ctx context.Context, id messages.ClientID, audit messages.Audit) error {
	err := t.Store.DeleteClient(ctx, id, audit)
	if err == nil {
		t.engine.ForgetClient(id)
	}
	return err
}
