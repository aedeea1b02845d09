package natskv

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/placement"
	"github.com/dibs-calls/dibs/placement/membership"
)

const nodeSubject = "dibs.node."

// Carrier implements [membership.Carrier].
type Carrier struct{ nc *nats.Conn }

var _ membership.Carrier = (*Carrier)(nil)

// NewCarrier returns the carrier on a connection.
func NewCarrier(nc *nats.Conn) *Carrier { return &Carrier{nc: nc} }

// Listen implements [membership.Carrier]. hear is called by one goroutine, in the order
// in which messages of one sender were sent.
func (c *Carrier) Listen(id string, hear func(message []byte, answer func([]byte))) (stop func(), err error) {
	sub, err := c.nc.Subscribe(nodeSubject+id, func(m *nats.Msg) {
		if m.Reply == "" {
			hear(m.Data, nil)
			return
		}
		hear(m.Data, func(b []byte) { _ = c.nc.Publish(m.Reply, b) }) // lost, like any other
	})
	if err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", nodeSubject+id, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil // the connection may be closed
}

// Ask implements [membership.Carrier]. A connection that is closed while the request is on
// its way says the same as one that was closed before; only of the latter it is known that
// nobody got it.
func (c *Carrier) Ask(ctx context.Context, id string, request []byte) ([]byte, error) {
	if c.nc.IsClosed() {
		return nil, errors.Join(placement.ErrNotSent, nats.ErrConnectionClosed)
	}
	m, err := c.nc.RequestWithContext(ctx, nodeSubject+id, request)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrReconnectBufExceeded):
		return nil, errors.Join(placement.ErrNotSent, err)
	case err != nil:
		return nil, fmt.Errorf("asking another node: %w", err)
	}
	return m.Data, nil
}

// Tell implements [membership.Carrier].
func (c *Carrier) Tell(id string, message []byte) error {
	return c.nc.Publish(nodeSubject+id, message)
}
