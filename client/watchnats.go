package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
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
// the server forgets.
//
// It goes on behind a position only if the very event that came last is still
// there, which it is not in a stream that was made anew, that lost its end, or
// that has thrown away what would have come next. Else it begins at the end of
// the stream, with a snapshot that was read after that: what happened before is
// in the snapshot, what happens after comes from the stream.
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
	for {
		f, err := t.follow(ctx, after)
		if err != nil {
			return t.streamError(err, before)
		}
		if f.anew {
			picture, err := t.snapshot(ctx)
			if err != nil {
				return err
			}
			if picture.Position = f.position(); !take(picture) {
				return errEnough
			}
		}
		if !ready(f.position()) {
			return errEnough
		}
		err = f.run(ctx, take)
		switch {
		case errors.Is(err, errEnough):
			return err
		case !errors.Is(err, errGap):
			return t.streamError(err, before)
		}
		after = "" // what was here is not what was read: from the end, with a snapshot
	}
}

var errGap = errors.New("events are missing")

// follower is one consumer of the stream. It belongs to the goroutine that reads.
type follower struct {
	consumer  jetstream.Consumer
	epoch     string        // of the stream
	seen      uint64        // stream sequence of the last message
	mark      string        // of the last message; empty: it is not known
	delivered uint64        // messages of this consumer
	first     jetstream.Msg // came behind seen already, and was not brought yet; nil: none
	anew      bool          // it does not go on where the reader was
}

// position is the incarnation of the stream, a sequence number of it, and a mark
// of the message there.
func (f *follower) position() string {
	return f.epoch + ":" + strconv.FormatUint(f.seen, 10) + ":" + f.mark
}

// behind reads a position; false: there is no going on from it in this stream.
func (f *follower) behind(position string, state jetstream.StreamState) (seq uint64, mark string, ok bool) {
	rest, ok := strings.CutPrefix(position, f.epoch+":")
	if !ok {
		return 0, "", false
	}
	number, mark, _ := strings.Cut(rest, ":")
	seq, err := strconv.ParseUint(number, 10, 64)
	switch {
	case err != nil:
		return 0, "", false
	case seq == 0: // nothing had ever happened
		return 0, "", state.FirstSeq <= 1
	}
	return seq, mark, mark != "" && seq >= state.FirstSeq && seq <= state.LastSeq
}

// markOf tells apart what a stream had under one number.
func markOf(msg jetstream.Msg) string {
	h := fnv.New64a()
	_, _ = h.Write(msg.Data())
	return strconv.FormatUint(h.Sum64(), 36)
}

// follow makes a consumer behind a position, or at the end of the stream.
func (t *natsTransport) follow(ctx context.Context, after string) (*follower, error) {
	ctx, cancel := context.WithTimeout(ctx, setUpTimeout)
	defer cancel()
	stream, err := t.js.Stream(ctx, eventStream)
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	f := &follower{epoch: strconv.FormatInt(info.Created.UnixNano(), 36)}
	if seq, mark, ok := f.behind(after, info.State); ok {
		if err := f.attach(ctx, stream, seq); err != nil || f.mark == mark {
			return f, err
		}
	}
	f.anew = true
	return f, f.attach(ctx, stream, info.State.LastSeq)
}

// attach makes a consumer that begins with the message at seq, and looks at it.
func (f *follower) attach(ctx context.Context, stream jetstream.Stream, seq uint64) (err error) {
	f.seen, f.mark, f.first, f.delivered = seq, "", nil, 0
	f.consumer, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(1, seq),
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: forgetReader,
	})
	if err != nil || seq == 0 || f.consumer.CachedInfo().NumPending == 0 {
		return err // nothing is there, or it is gone
	}
	msg, err := f.consumer.Next(jetstream.FetchContext(ctx))
	if err != nil {
		return err
	}
	at, err := f.next(msg)
	if err != nil {
		return err
	}
	if at == seq {
		f.mark = markOf(msg)
	} else {
		f.first = msg
	}
	return nil
}

// next is the place of a message, which must be the one behind the last that was
// delivered.
func (f *follower) next(msg jetstream.Msg) (seq uint64, err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return 0, lost(err)
	}
	if f.delivered++; meta.Sequence.Consumer != f.delivered {
		return 0, lost(fmt.Errorf("delivery %d came instead of %d", meta.Sequence.Consumer, f.delivered))
	}
	return meta.Sequence.Stream, nil
}

// run brings events until something is wrong.
func (f *follower) run(ctx context.Context, take func(Event) bool) error {
	if f.first != nil {
		meta, err := f.first.Metadata()
		if err != nil {
			return lost(err)
		}
		if err := f.take(f.first, meta.Sequence.Stream, take); err != nil {
			return err
		}
	}
	messages, err := f.consumer.Messages(jetstream.PullHeartbeat(heartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		msg, err := messages.Next()
		if err != nil {
			return err
		}
		seq, err := f.next(msg)
		if err != nil {
			return err
		}
		if err := f.take(msg, seq, take); err != nil {
			return err
		}
	}
}

// take brings one message. What cannot be understood is left out.
func (f *follower) take(msg jetstream.Msg, seq uint64, take func(Event) bool) error {
	if seq != f.seen+1 {
		return errGap
	}
	f.seen, f.mark = seq, markOf(msg)
	envelope, ok := understood(msg.Data())
	if !ok {
		return nil
	}
	switch envelope.Type {
	case CallStarted, CallEnded, CallRefused:
		if !take(envelope.Data.event(envelope.Type, f.position())) {
			return errEnough
		}
	}
	return nil
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

// envelope is what Watch reads of a CloudEvent.
type envelope struct {
	Type EventType
	Data eventData
}

func understood(body []byte) (e envelope, ok bool) {
	err := json.Unmarshal(body, &e)
	return e, err == nil
}
