package natsapi

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// sender publishes to the stream and matches acknowledgements to what was sent. It
// belongs to one goroutine, which receives the acknowledgements itself: the library's
// own way takes a future, two channels, a timer and a goroutine in between for each.
// Nothing is sent twice by it.
//
// Messages in flight stand in slots, and the subject of an acknowledgement names the
// slot. Slots are used again, so that the server, which remembers where subjects lead,
// finds these few. An acknowledgement that came after it was given up must not be taken
// for that of the next message in its slot: so after a failure there are new subjects.
type sender struct {
	nc      connection
	encoder *encoder
	timer   *time.Timer

	sub      *nats.Subscription // nil: to be made, with what follows
	replies  chan *nats.Msg
	prefix   int // length of subjects without the slot
	subjects [slots]string
	flying   [slots]*receipt // nil: nothing, or it was settled
	next     int
}

// slots is more than what is in flight, and less than the subjects that a server
// remembers (1,024).
const slots = 2 * inFlight

// connection is what a sender needs of one.
type connection interface {
	NewInbox() string
	ChanSubscribe(subject string, to chan *nats.Msg) (*nats.Subscription, error)
	PublishMsg(msg *nats.Msg) error
}

// receipt is what became of a message.
type receipt struct {
	at        time.Time // when it was sent
	settled   bool
	duplicate bool  // the stream had it already
	err       error // it was refused
}

func newSender(nc connection) *sender {
	timer := time.NewTimer(0)
	timer.Stop()
	return &sender{nc: nc, encoder: newEncoder(), timer: timer}
}

// open begins to listen for acknowledgements, if need be.
func (c *sender) open() (err error) {
	if c.sub != nil {
		return nil
	}
	inbox := c.nc.NewInbox() + "."
	c.prefix, c.flying, c.replies = len(inbox), [slots]*receipt{}, make(chan *nats.Msg, slots)
	for i := range c.subjects {
		c.subjects[i] = inbox + strconv.Itoa(i)
	}
	c.sub, err = c.nc.ChanSubscribe(inbox+"*", c.replies)
	return err
}

// close lets go of everything that is in flight.
func (c *sender) close() {
	if c.sub != nil {
		_ = c.sub.Unsubscribe() // the connection may be gone
		c.sub = nil
	}
}

// send publishes a message. At most [inFlight] may be without an acknowledgement.
func (c *sender) send(msg *nats.Msg, r *receipt) error {
	if err := c.open(); err != nil {
		return err
	}
	*r = receipt{at: time.Now()}
	c.next = (c.next + 1) % slots
	msg.Reply, c.flying[c.next] = c.subjects[c.next], r
	if err := c.nc.PublishMsg(msg); err != nil {
		c.close()
		return err
	}
	return nil
}

// wait waits until it is known what became of a message, and returns why it was refused.
// It gives up when the connection is lost, of which the closing of lost tells, or after
// [ackWithin]; all else that is in flight then counts as lost as well.
func (c *sender) wait(ctx context.Context, r *receipt, lost <-chan struct{}) error {
	c.drain()
	if r.settled {
		return r.err
	}
	if c.sub == nil {
		return nats.ErrDisconnected
	}
	c.timer.Reset(time.Until(r.at.Add(ackWithin)))
	defer c.timer.Stop()
	var err error = jetstream.ErrAsyncPublishTimeout
	for !r.settled {
		select {
		case reply := <-c.replies:
			c.settle(reply)
			continue
		case <-lost:
			err = nats.ErrDisconnected
		case <-c.timer.C:
		case <-ctx.Done():
			err = ctx.Err()
		}
		c.close()
		return err
	}
	return r.err
}

// drain takes the acknowledgements that have come.
func (c *sender) drain() {
	for c.sub != nil {
		select {
		case reply := <-c.replies:
			c.settle(reply)
		default:
			return
		}
	}
}

// settle notes what a reply says.
func (c *sender) settle(reply *nats.Msg) {
	slot, err := strconv.Atoi(reply.Subject[min(c.prefix, len(reply.Subject)):])
	if err != nil || slot < 0 || slot >= slots {
		return // somebody else's; nobody else knows the subjects
	}
	if r := c.flying[slot]; r != nil {
		r.settled, c.flying[slot] = true, nil
		r.duplicate, r.err = parseAck(reply)
	}
}

// parseAck reads an acknowledgement. Nearly all of them look the same.
func parseAck(reply *nats.Msg) (duplicate bool, err error) {
	if sequence, ok := bytes.CutPrefix(reply.Data, []byte(`{"stream":"`+StreamName+`","seq":`)); ok {
		if digits, ok := bytes.CutSuffix(sequence, []byte("}")); ok && len(bytes.Trim(digits, "0123456789")) == 0 && len(digits) > 0 {
			return false, nil
		}
	}
	if len(reply.Data) == 0 && reply.Header.Get("Status") == "503" {
		return false, jetstream.ErrNoStreamResponse
	}
	var ack struct {
		Error     *jetstream.APIError `json:"error"`
		Stream    string              `json:"stream"`
		Duplicate bool                `json:"duplicate"`
	}
	switch err := json.Unmarshal(reply.Data, &ack); {
	case err != nil:
		return false, jetstream.ErrInvalidJSAck
	case ack.Error != nil:
		return false, ack.Error
	case ack.Stream == "":
		return false, jetstream.ErrInvalidJSAck
	}
	return ack.Duplicate, nil
}
