package natsapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/messages"
)

const (
	// pollEvery finds rows of other processes, and those that a crash left.
	pollEvery = time.Second
	// passPause is the least time between the beginnings of two passes, unless
	// there is a backlog: under load a pass then takes more rows instead of
	// taking the store's attention more often. The readers of this node do not wait
	// for it: they are told of a commit before it is answered.
	passPause = 20 * time.Millisecond
	// settleEvery is the least time between two flushes of the embedded server's
	// files: one serves all rows of that time. See [Publisher.settle].
	settleEvery = 250 * time.Millisecond

	retryFirst = 50 * time.Millisecond
	retryMost  = time.Second

	storeTimeout = 5 * time.Second
)

// Publisher moves events from the outbox to the stream. It has one goroutine
// that publishes and one that counts the backlog, and what is on the stream.
type Publisher struct {
	outbox  Outbox
	js      jetstream.JetStream
	sender  *sender
	link    *link
	largest func() int64 // bytes of a message, as the server has it
	durable func() error // what was acknowledged is on stable storage, unless others keep it
	keepers *keepers     // who do; nil: nobody
	stream  StreamConfig
	echo    *echo // is told of what was published; nil: nobody is
	own     *own  // is told of what is being sent; nil: nobody is
	metrics *metrics
	log     *slog.Logger
	now     func() time.Time
	timing  timing

	wake     chan struct{} // one place: wakes are coalesced
	stopping chan struct{}
	done     chan struct{}
	cancel   context.CancelFunc // ends the pass under way
	start    sync.Once
	stop     sync.Once

	// Owned by the publishing goroutine.
	limit   int                  // rows a pass
	plan    plan                 // of the pass under way
	acked   map[string]bool      // events acknowledged by earlier passes, of rows of which others were not
	held    []messages.OutboxRow // whose events were all acknowledged, and are to be settled
	kept    *kept                // who keeps what is held and acked
	settled time.Time            // when rows were settled last
	// asideErr is why rows that cannot be read are still held; they were tried last at
	// asideTried.
	asideErr   error
	asideTried time.Time
	ensured    bool // the stream is there, as far as we know
	trouble    bool // the last pass failed
	met        int  // passes in a row that met another publisher; see met.go
}

// timing is what tests shorten, and how long rows may wait to be settled.
type timing struct{ poll, count, settle time.Duration }

// Wake says that something was committed. It never waits.
func (p *Publisher) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Start begins publishing. It can be repeated.
func (p *Publisher) Start() {
	p.start.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		counting, stopCounting := context.WithCancel(ctx)
		p.cancel = cancel
		var both sync.WaitGroup
		both.Go(func() {
			defer stopCounting() // who asks NATS or the store how much there is holds up no end
			defer p.sender.close()
			p.run(ctx)
		})
		both.Go(func() { p.count(counting) })
		go func() {
			both.Wait()
			cancel()
			close(p.done)
		}()
	})
}

// Stop publishes what is in the outbox and stops, at the latest when ctx ends.
// What is left then, or because NATS is away, is published after the next
// start. It can be repeated; a publisher that was not started cannot be started
// afterwards.
func (p *Publisher) Stop(ctx context.Context) error {
	p.start.Do(func() { close(p.done) })
	p.stop.Do(func() { close(p.stopping) })
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-p.done: // one that was never started always is
		return nil
	default:
	}
	p.cancel()
	<-p.done
	return fmt.Errorf("stopping the publisher of events; the outbox keeps what was not published: %w", ctx.Err())
}

func (p *Publisher) run(ctx context.Context) {
	poll := time.NewTicker(p.timing.poll)
	defer poll.Stop()
	for failures := 0; ; {
		began := time.Now()
		more, err := p.pass(ctx)
		if ctx.Err() != nil {
			return
		}
		met := p.meets(err)
		if !met {
			p.note(err)
		}
		stopping := false
		switch {
		case met:
			stopping = p.backOff(ctx, metPause())
		case err != nil:
			failures++
			stopping = p.backOff(ctx, retryDelay(failures))
		case more:
			failures = 0
		default:
			failures = 0
			stopping = p.rest(ctx, poll.C, began)
		}
		if stopping {
			p.flush(ctx)
			return
		}
	}
}

// rest waits for something to do. It reports whether to stop.
func (p *Publisher) rest(ctx context.Context, poll <-chan time.Time, began time.Time) bool {
	due := time.NewTimer(max(0, p.untilDue()))
	defer due.Stop()
	if len(p.held) == 0 {
		due.Stop()
	}
	select {
	case <-p.wake:
	case <-due.C:
		return false
	case <-poll:
		return false
	case <-p.stopping:
		return true
	case <-ctx.Done():
		return true
	}
	pause := time.NewTimer(passPause - time.Since(began))
	defer pause.Stop()
	select {
	case <-pause.C:
		return false
	case <-p.stopping:
	case <-ctx.Done():
	}
	return true
}

// flush empties the outbox, unless something stands in the way. What is on the stream
// by then is settled in any case: it would be published again after the next start.
func (p *Publisher) flush(ctx context.Context) {
	for ctx.Err() == nil {
		more, err := p.pass(ctx)
		if p.meets(err) {
			pause(ctx, metPause())
			continue
		}
		if err != nil || !more {
			err = cmp.Or(errors.Join(err, p.settle(ctx)), p.asideErr)
		}
		if err != nil {
			p.log.Warn("stopping while events wait in the outbox; they are published after the next start", "error", err)
		}
		if err != nil || !more {
			return
		}
	}
}

// backOff waits before the next try, or until the connection comes back. It
// reports whether to stop.
func (p *Publisher) backOff(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	up, changed := p.link.state()
	if up {
		changed = nil
	}
	select {
	case <-timer.C:
	case <-changed:
	case <-p.stopping:
		return true
	case <-ctx.Done():
		return true
	}
	return false
}

func retryDelay(failures int) time.Duration {
	d := retryMost
	if failures < 6 {
		d = min(d, retryFirst<<(failures-1))
	}
	return d/2 + rand.N(d/2)
}

// note says once that publishing fails, and once that it works again.
func (p *Publisher) note(err error) {
	switch {
	case err != nil:
		p.metrics.failures.Inc()
		if !p.trouble {
			p.log.Warn("events cannot be published; they wait in the outbox", "error", err)
		}
	case p.trouble:
		p.log.Info("events are published again")
	}
	p.trouble = err != nil
}
