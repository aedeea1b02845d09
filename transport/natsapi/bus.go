package natsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/dibs-calls/dibs/live"
)

// Bus is the way to the event stream: a connection, and the server behind it if
// that is ours.
type Bus struct {
	cfg      Config
	embedded *Embedded // nil: a server by URL
	link     *link
	js       jetstream.JetStream
	echo     *echo   // nil: events are heard from the stream
	own      *own    // of those, the ones that we sent; nil: echo
	keeper   *keeper // of the embedded server, if it is one of several
}

// Open starts the embedded server, or connects to the one at the URL. A server
// that cannot be reached is no error, one that refuses us is. The stream is made
// if it can be; else the publisher will make it.
func Open(ctx context.Context, cfg Config) (*Bus, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg.Stream.setDefaults()
	cfg.Ingest.setDefaults()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	b := &Bus{cfg: cfg}
	if err := b.open(ctx); err != nil {
		return nil, errors.Join(err, b.Close(context.WithoutCancel(ctx)))
	}
	return b, nil
}

func (b *Bus) open(ctx context.Context) (err error) {
	if b.cfg.URL == "" {
		if b.embedded, err = StartEmbedded(b.cfg.Embedded, b.cfg.Log); err != nil {
			return err
		}
	}
	if b.link, err = dial(b.cfg, b.embedded); err != nil {
		return err
	}
	if b.several() {
		if b.keeper, err = startKeeper(b.link.nc, b.cfg.Embedded.Routes.Name, b.embedded.Sync); err != nil {
			return err
		}
	}
	b.js, err = jetstream.New(b.link.nc)
	if err != nil {
		return fmt.Errorf("setting up JetStream: %w", err)
	}
	if b.alone() {
		b.echo = newEcho(b.link, b.log("feed"))
	} else {
		b.own = newOwn()
	}
	if err := b.register(); err != nil {
		return err
	}
	return b.firstStream(ctx)
}

// firstStream makes the stream, so that what is wrong with it is said at the
// start. With our own server nothing may be wrong.
func (b *Bus) firstStream(ctx context.Context) error {
	if b.link.nc.Status() != nats.CONNECTED || b.several() {
		return nil // one of several has to find the others first
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	err := ensureStream(ctx, b.js, b.cfg.Stream, b.cfg.Log)
	if err != nil && b.embedded == nil {
		b.cfg.Log.Warn("events cannot be published yet", "error", err)
		return nil
	}
	return err
}

func (b *Bus) register() error {
	connected := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dibs_nats_connected", Help: "1 while there is a connection to NATS.",
	}, func() float64 {
		if up, _ := b.link.state(); up {
			return 1
		}
		return 0
	})
	for _, c := range []prometheus.Collector{connected, b.link.losses} {
		if err := b.cfg.Metrics.Register(c); err != nil {
			return fmt.Errorf("registering the metrics of NATS: %w", err)
		}
	}
	return nil
}

// NewPublisher returns the publisher of the events in outbox; it does nothing
// until it is started. Its metrics can be registered once.
func (b *Bus) NewPublisher(outbox Outbox) (*Publisher, error) {
	t := timing{poll: pollEvery, count: countEvery}
	if b.alone() {
		t.settle = settleEvery
	}
	return b.newPublisher(outbox, t)
}

// alone reports whether no other node has a part in the store's events: a node with a
// NATS of its own has its store for itself, unless it is one of a cluster.
func (b *Bus) alone() bool { return b.embedded != nil && b.cfg.Embedded.Routes.Listen == "" }

// several reports whether the embedded server is one of a cluster.
func (b *Bus) several() bool { return b.embedded != nil && !b.alone() }

// durable returns when what the embedded server of a node that is alone has acknowledged is
// on stable storage. See [keepers] for those that are not. What an acknowledgement of another
// server is worth is up to that one.
func (b *Bus) durable() error {
	if b.alone() {
		return b.embedded.Sync()
	}
	return nil
}

// keepers are those of a stream, nil where nobody has to be asked.
func (b *Bus) keepers(stream string) *keepers {
	if !b.several() {
		return nil
	}
	return &keepers{nc: b.link.nc, js: b.js, stream: stream}
}

func (b *Bus) newPublisher(outbox Outbox, t timing) (*Publisher, error) {
	m, err := newMetrics(b.cfg.Metrics, b.cfg.Now)
	if err != nil {
		return nil, err
	}
	return &Publisher{
		outbox: outbox, js: b.js, sender: newSender(b.link.nc), link: b.link, largest: b.js.Conn().MaxPayload, durable: b.durable, keepers: b.keepers(StreamName), stream: b.cfg.Stream,
		echo: b.echo, own: b.own, metrics: m, log: b.log("publisher"), now: b.cfg.Now, timing: t,
		wake: make(chan struct{}, 1), stopping: make(chan struct{}), done: make(chan struct{}),
		limit: firstRows, acked: map[string]bool{},
	}, nil
}

// Heard reports whether another program can listen to the events: at a server by URL, at a
// port of the one inside, or at another node. Where none can, nothing needs to be published:
// events wait in the outbox, on stable storage, for the day that this process is started with
// one of these. No publisher is started then.
func (b *Bus) Heard() bool { return !b.alone() || b.cfg.Embedded.Listen != "" }

// EventLimits are for how long, and up to how many bytes, status events are kept for whoever
// reads them.
func (b *Bus) EventLimits() (age time.Duration, bytes int64) {
	return b.cfg.Stream.MaxAge, b.cfg.Stream.MaxBytes
}

// NewFeed returns a feed of the events of all nodes. That of a node which is alone is
// one; others may be run side by side. Where nothing is published there is nothing to hear
// but what the node itself commits.
func (b *Bus) NewFeed() live.Feed {
	if !b.Heard() {
		return live.LocalFeed{}
	}
	if b.echo != nil {
		return b.echo
	}
	return b.streamFeed()
}

func (b *Bus) streamFeed() *Feed {
	return &Feed{
		js: b.js, link: b.link, own: b.own, log: b.log("feed"),
		junkLog: &rate.Sometimes{First: 10, Interval: time.Second},
	}
}

func (b *Bus) log(component string) *slog.Logger { return b.cfg.Log.With("component", component) }

// Ready reports why events cannot be published or heard right now, if so.
func (b *Bus) Ready(ctx context.Context) error {
	if b.embedded != nil {
		if err := b.embedded.Ready(); err != nil {
			return err
		}
	}
	if up, _ := b.link.state(); !up {
		return errors.New("there is no connection to NATS")
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := b.js.Stream(ctx, StreamName); err != nil {
		return fmt.Errorf("the event stream %s: %w", StreamName, err)
	}
	return nil
}

// Lost says why the connection was closed for good, if it was, and not by
// [Bus.Close]. A server that is away is no such thing. The process is to end then,
// and be started again: nothing here will ever reach NATS.
func (b *Bus) Lost() <-chan error { return b.link.lost }

// Close closes the connection and stops the embedded server, at the latest when
// ctx ends. Publishers and feeds are stopped before. It can be repeated.
func (b *Bus) Close(ctx context.Context) error {
	if b.keeper != nil {
		b.keeper.close(ctx)
	}
	if b.link != nil {
		b.link.close()
	}
	if b.embedded != nil {
		return b.embedded.Stop(ctx)
	}
	return nil
}
