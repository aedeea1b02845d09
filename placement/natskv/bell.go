package natskv

import (
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/dibs-calls/dibs/placement"
)

// bellSubject tells other nodes to look at the register.
const bellSubject = "dibs.nodes.changed"

// Bell tells nodes that the register has changed, so that they need not find out by
// themselves half a second later. It may be lost.
type Bell struct {
	nc   *nats.Conn
	sub  *nats.Subscription
	rung chan struct{}
}

// NewBell returns the bell on a connection.
func NewBell(nc *nats.Conn) (*Bell, error) {
	b := &Bell{nc: nc, rung: make(chan struct{}, 1)}
	var err error
	b.sub, err = nc.Subscribe(bellSubject, func(*nats.Msg) {
		select {
		case b.rung <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return nil, fmt.Errorf("hearing of changes of the nodes: %w", err)
	}
	return b, nil
}

// Ring tells everybody.
func (b *Bell) Ring() { _ = b.nc.Publish(bellSubject, nil) } // they look soon anyway

// Rung gets a value when somebody rang.
func (b *Bell) Rung() <-chan struct{} { return b.rung }

// Close stops listening.
func (b *Bell) Close() { _ = b.sub.Unsubscribe() } // the connection may be closed

// Differs reports whether b says something that others should know at once and that a did
// not say.
func Differs(a, b placement.Member) bool {
	return a.ID != b.ID || a.Leaving != b.Leaving || !slices.Equal(a.View, b.View)
}
