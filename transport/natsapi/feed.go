package natsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/dibs-calls/dibs/live"
	"github.com/dibs-calls/dibs/messages"
)

const (
	// heartbeat is the shortest that the client allows. After two that stayed
	// away the server counts as silent.
	heartbeat = 500 * time.Millisecond
	// readAhead bounds what a feed holds in memory.
	readAhead = 500
	// forgetReader is when the server drops the consumer of a feed that is gone.
	forgetReader  = 10 * time.Second
	attachTimeout = 2 * time.Second
)

// Feed brings the events of all nodes from the stream. It implements
// [live.Feed]; one Run at a time.
type Feed struct {
	js      jetstream.JetStream
	link    *link
	own     *own // what need not be decoded; nil: nothing
	log     *slog.Logger
	junkLog *rate.Sometimes // who can have junk put on the stream must not fill the log
}

var _ live.Feed = (*Feed)(nil)

// Run brings events until ctx ends. It reconnects by itself.
func (f *Feed) Run(ctx context.Context, to live.Sink) error {
	r := &reader{Feed: f, to: to}
	for failures := 1; ; failures++ {
		before := r.attached
		err := r.follow(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		to.Stale(true)
		if r.attached > before {
			failures = 1
			f.log.Warn("events of other nodes are not heard", "error", err)
		} else {
			f.log.Debug("events of other nodes are not heard yet", "error", err)
		}
		if err := f.rest(ctx, failures); err != nil {
			return err
		}
	}
}

// rest waits before the next try: until the connection changes, and if it is up
// no longer than a moment.
func (f *Feed) rest(ctx context.Context, failures int) error {
	up, changed := f.link.state()
	var over <-chan time.Time
	if up {
		timer := time.NewTimer(min(retryDelay(failures), reconnectMost))
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-changed:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// reader is one run of a feed. Its fields belong to the goroutine of the run.
type reader struct {
	*Feed
	to       live.Sink
	attached int // how often

	// The last event that was read, to recognise the stream by.
	lastSeq uint64
	lastID  string
}

// follow attaches to the stream and brings its events until something is wrong.
func (r *reader) follow(ctx context.Context) error {
	up, changed := r.link.state()
	if !up {
		return nats.ErrDisconnected
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-changed:
			cancel(nats.ErrDisconnected)
		case <-ctx.Done():
		}
	})
	defer watch.Wait()
	defer cancel(nil)

	a, err := r.attach(ctx)
	if err != nil {
		return err
	}
	defer r.detach(a)
	r.attached++
	coming, err := a.consumer.Messages(
		jetstream.PullHeartbeat(heartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true),
		jetstream.PullMaxMessages(readAhead))
	if err != nil {
		return fmt.Errorf("reading the event stream: %w", err)
	}
	defer coming.Stop()
	defer context.AfterFunc(ctx, coming.Stop)()
	if a.resumed {
		r.log.Debug("events of other nodes are heard", "after", a.seen, "behind", a.target-a.seen)
	} else {
		r.to.Reset(live.Offset{Epoch: a.epoch, Seq: a.seen})
	}
	for {
		if a.seen >= a.target {
			r.to.Stale(false)
			a.target = ^uint64(0)
		}
		msg, err := coming.Next()
		if err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		if err := r.take(a, msg); err != nil {
			return err
		}
	}
}

// take passes on one message.
func (r *reader) take(a *attachment, msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("reading the event stream: %w", err)
	}
	a.delivered++
	if meta.Sequence.Consumer != a.delivered {
		return fmt.Errorf("reading the event stream: delivery %d came instead of %d", meta.Sequence.Consumer, a.delivered)
	}
	seq := meta.Sequence.Stream
	if seq != a.seen+1 {
		r.log.Warn("events were deleted from the stream before they were read", "from", a.seen+1, "to", seq-1)
		r.to.Reset(live.Offset{Epoch: a.epoch, Seq: seq - 1})
	}
	a.seen = seq
	r.lastSeq, r.lastID = seq, msg.Headers().Get(jetstream.MsgIDHeader)
	if event, junk := r.event(msg); junk == nil {
		r.to.Apply(live.Offset{Epoch: a.epoch, Seq: seq}, event)
	} else {
		r.junkLog.Do(func() {
			r.log.Error("an event on the stream cannot be understood; it is skipped", "sequence", seq, "subject", msg.Subject(), "error", junk)
		})
	}
	return nil
}

// event reads the event of the last message. What we sent ourselves we know.
func (r *reader) event(msg jetstream.Msg) (messages.Event, error) {
	if e := r.own.take(r.lastID); e != nil {
		return *e, nil
	}
	return decode(msg.Data())
}

// attachment is a consumer of the stream and how far it has come.
type attachment struct {
	stream    jetstream.Stream
	consumer  jetstream.Consumer
	epoch     string
	resumed   bool
	seen      uint64 // stream sequence of the last message taken
	target    uint64 // what the stream held when we attached is read at this one
	delivered uint64 // messages of this consumer
}

// attach makes a consumer that begins where the sink stands, if the stream goes
// on from there, and else at the stream's end.
func (r *reader) attach(ctx context.Context) (*attachment, error) {
	ctx, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	stream, err := r.js.Stream(ctx, StreamName)
	if err != nil {
		return nil, fmt.Errorf("looking for the event stream: %w", err)
	}
	info := stream.CachedInfo()
	a := &attachment{stream: stream, epoch: epochOf(info), seen: info.State.LastSeq}
	position := r.to.Position()
	if position.Epoch == a.epoch {
		if a.resumed, err = r.continues(ctx, stream, info.State, position.Seq); err != nil {
			return nil, err
		}
	}
	if a.resumed {
		a.seen = position.Seq
	}
	a.consumer, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Description:   "live events of a dibs node",
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: a.seen + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: forgetReader,
	})
	if err != nil {
		return nil, fmt.Errorf("attaching to the event stream: %w", err)
	}
	a.target = a.seen + a.consumer.CachedInfo().NumPending
	return a, nil
}

// continues reports whether the stream still has everything behind position, and
// is the one that position was read from: a server that lost power may have lost
// the end of the stream, and given its numbers to other events.
func (r *reader) continues(ctx context.Context, stream jetstream.Stream, state jetstream.StreamState, position uint64) (bool, error) {
	if position > state.LastSeq || position+1 < state.FirstSeq {
		return false, nil
	}
	if position != r.lastSeq || r.lastID == "" || position < state.FirstSeq {
		return true, nil
	}
	msg, err := stream.GetMsg(ctx, position)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("comparing the event stream with what was read from it: %w", err)
	}
	return msg.Header.Get(jetstream.MsgIDHeader) == r.lastID, nil
}

// detach drops the consumer, if the server can be asked to.
func (r *reader) detach(a *attachment) {
	if up, _ := r.link.state(); !up {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), heartbeat)
	defer cancel()
	if err := a.stream.DeleteConsumer(ctx, a.consumer.CachedInfo().Name); err != nil {
		r.log.Debug("the consumer of a feed is left to expire", "error", err)
	}
}
