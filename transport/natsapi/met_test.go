package natsapi

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// busyStream refuses events as a replicated stream does that is taking them from another
// publisher. It is used by one goroutine.
type busyStream struct {
	jetstream.JetStream
	refuse map[string]int // by message id: how often; negative: always
}

func (s *busyStream) PublishMsgAsync(msg *nats.Msg, opts ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	id := msg.Header.Get(jetstream.MsgIDHeader)
	if s.refuse[id] == 0 {
		return s.JetStream.PublishMsgAsync(msg, opts...)
	}
	s.refuse[id]--
	f := refusal{msg: msg, err: make(chan error, 1)}
	f.err <- &jetstream.APIError{Code: 409, ErrorCode: 10158, Description: "duplicate message id is in process"}
	return f, nil
}

type refusal struct {
	msg *nats.Msg
	err chan error
}

func (f refusal) Ok() <-chan *jetstream.PubAck { return nil }
func (f refusal) Err() <-chan error            { return f.err }
func (f refusal) Msg() *nats.Msg               { return f.msg }

// meeting is a publisher that was not started yet, with the start of client 1 refused.
func meeting(t *testing.T, times int) (*Bus, *natstest.Outbox, *Publisher) {
	bus, outbox := open(t, inProcess(t, t.TempDir())), &natstest.Outbox{}
	p, err := bus.newPublisher(outbox, timing{poll: time.Hour, count: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	p.js = &busyStream{JetStream: p.js, refuse: map[string]int{natstest.Started(1, 0).ID: times}}
	outbox.Add(natstest.Started(1, 0))
	outbox.Add(natstest.Started(2, 0))
	outbox.Add(natstest.Ended(1, 0))
	t.Cleanup(func() { halt(t, p) })
	return bus, outbox, p
}

// Another node is publishing an event: it is tried again shortly, nobody is alarmed, and
// what follows it of its client waits.
func TestEventThatAnotherNodeIsPublishing(t *testing.T) {
	bus, outbox, p := meeting(t, 5)
	p.Start()
	empty(t, outbox)
	if n := inOrder(t, stored(t, bus)); n != 3 {
		t.Errorf("%d events on the stream, want 3", n)
	}
	if n := testutil.ToFloat64(p.metrics.failures); n != 0 {
		t.Errorf("%v failures counted, want none", n)
	}
}

func TestEventThatAnotherNodeIsPublishingWhileThisOneStops(t *testing.T) {
	_, outbox, p := meeting(t, 30)
	p.Start()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if n := outbox.Len(); n != 0 {
		t.Errorf("%d rows are left, want none", n)
	}
}

// It does not end: then it is a failure, and others are published still.
func TestEventThatAnotherNodeIsPublishingForEver(t *testing.T) {
	bus, outbox, p := meeting(t, -1)
	p.met = metMost - 3
	p.Start()
	waitFor(t, 10*time.Second, "publishing fails", failing(p))
	if n := count(t, bus); n != 1 || outbox.Len() != 2 {
		t.Errorf("%d events on the stream and %d rows left, want 1 and 2", n, outbox.Len())
	}
}

// Meeting somebody is no excuse for what fails besides.
func TestRowsThatCannotBeClearedFailAlsoWhenAnotherNodeIsPublishing(t *testing.T) {
	_, outbox, p := meeting(t, -1)
	outbox.OnClear = func([]int64) error { return errors.New("the store is away") }
	p.Start()
	waitFor(t, 10*time.Second, "publishing fails", failing(p))
}
