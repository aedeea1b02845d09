package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	eventStream = "DIBS_EVENTS"
	// heartbeat is how often the server says that it is still there.
	heartbeat = 2 * time.Second
	// forgetReader is when the server drops what it keeps for a reader that is
	// gone.
	forgetReader = 30 * time.Second
	setUpTimeout = 5 * time.Second
)

// watch follows the event stream with a consumer that nobody acknowledges and
// the server forgets. A position is the stream's incarnation and a sequence
// number of it.
func (t *natsTransport) watch(ctx context.Context, after string, ready func(position string) bool, take func(Event) bool) error {
	before := t.nc.LastError()
	// The library waits in silence while the connection is down. The reader is to
	// know at once.
	changes := t.nc.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING)
	defer t.nc.RemoveStatusListener(changes)
	if !t.nc.IsConnected() && !t.nc.IsClosed() {
		return unreachable(nats.ErrDisconnected)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-changes:
			cancel()
		case <-ctx.Done():
		}
	}()
	f, err := t.follow(ctx, after)
	if err != nil {
		return t.streamError(err, before)
	}
	if f.missed && !take(Event{Type: Missed, Position: f.position(f.seen)}) {
		return errEnough
	}
	messages, err := f.consumer.Messages(jetstream.PullHeartbeat(heartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return t.streamError(err, before)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	if !ready(f.position(f.seen)) {
		return errEnough
	}
	for {
		msg, err := messages.Next()
		if err != nil {
			return t.streamError(err, before)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return lost(err)
		}
		if f.delivered++; meta.Sequence.Consumer != f.delivered {
			return lost(fmt.Errorf("delivery %d came instead of %d", meta.Sequence.Consumer, f.delivered))
		}
		if !f.take(msg, meta.Sequence.Stream, take) {
			return errEnough
		}
	}
}

// follower is one consumer of the stream.
type follower struct {
	consumer  jetstream.Consumer
	epoch     string
	seen      uint64 // stream sequence of the last message
	delivered uint64
	missed    bool // events between the position asked for and this
}

func (f *follower) position(seq uint64) string { return f.epoch + ":" + strconv.FormatUint(seq, 10) }

func (t *natsTransport) follow(ctx context.Context, after string) (*follower, error) {
	ctx, cancel := context.WithTimeout(ctx, setUpTimeout)
	defer cancel()
	stream, err := t.js.Stream(ctx, eventStream)
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	f := &follower{epoch: strconv.FormatInt(info.Created.UnixNano(), 36), seen: info.State.LastSeq}
	if after != "" {
		seq, known := f.sequence(after)
		f.missed = !known || seq > info.State.LastSeq || seq+1 < info.State.FirstSeq
		if !f.missed {
			f.seen = seq
		}
	}
	f.consumer, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.seen + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: forgetReader,
	})
	return f, err
}

// sequence reads a position; false: it is not one of this stream.
func (f *follower) sequence(position string) (uint64, bool) {
	number, ok := strings.CutPrefix(position, f.epoch+":")
	if !ok {
		return 0, false
	}
	seq, err := strconv.ParseUint(number, 10, 64)
	return seq, err == nil
}

// take brings one message. What cannot be understood is left out.
func (f *follower) take(msg jetstream.Msg, seq uint64, take func(Event) bool) bool {
	gap := seq != f.seen+1
	f.seen = seq
	if gap && !take(Event{Type: Missed, Position: f.position(seq - 1)}) {
		return false
	}
	var envelope struct {
		Type EventType
		Data eventData
	}
	if json.Unmarshal(msg.Data(), &envelope) != nil {
		return true
	}
	switch envelope.Type {
	case CallStarted, CallEnded, CallRefused:
		return take(envelope.Data.event(envelope.Type, f.position(seq)))
	}
	return true
}

// streamError says whether it is worth trying again.
func (t *natsTransport) streamError(err, before error) *Error {
	denied := t.denied(before, eventStream)
	switch {
	case errors.Is(err, nats.ErrConnectionClosed):
		return closed(err)
	case denied != nil:
		return &Error{Code: CodeForbidden, Sentence: "The NATS server does not let this user read events.", cause: denied}
	}
	return unreachable(err)
}
