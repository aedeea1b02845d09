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
	connection
	replies chan *nats.Msg
	refuse  map[string]int // by message id: how often; negative: always
}

func (s *busyStream) ChanSubscribe(subject string, to chan *nats.Msg) (*nats.Subscription, error) {
	s.replies = to
	return s.connection.ChanSubscribe(subject, to)
}

func (s *busyStream) PublishMsg(msg *nats.Msg) error {
	id := msg.Header.Get(jetstream.MsgIDHeader)
	if s.refuse[id] == 0 {
		return s.connection.PublishMsg(msg)
	}
	s.refuse[id]--
	s.replies <- &nats.Msg{Subject: msg.Reply, Data: []byte(
		`{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"},"stream":"DIBS_EVENTS","seq":0}`)}
	return nil
}

// meeting is a publisher that was not started yet, with the start of client 1 refused.
func meeting(t *testing.T, times int) (*Bus, *natstest.Outbox, *Publisher) {
	bus, outbox := open(t, inProcess(t, t.TempDir())), &natstest.Outbox{}
	p, err := bus.newPublisher(outbox, timing{poll: time.Hour, count: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	p.sender.nc = &busyStream{connection: p.sender.nc, refuse: map[string]int{natstest.Started(1, 0).ID: times}}
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
