package natsapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Several nodes publish from one outbox. While the servers of a replicated stream agree
// on an event that one node sent, they refuse the same event of another one. That is no
// failure: soon it is a duplicate, like any other.

// codeInProcess is how a replicated stream says that it is taking an event already
// (nats-server, JSStreamDuplicateMessageConflict).
const codeInProcess jetstream.ErrorCode = 10158

const (
	metPauseMost = 20 * time.Millisecond
	// metMost is after how many passes in a row it counts as a failure all the same: no
	// stream takes seconds for one event.
	metMost = 250
)

// errMet says that other publishers have events in hand that are in the outbox still.
var errMet = errors.New("another node is publishing the same events")

func takenAlready(err error) bool {
	if err == nil {
		return false
	}
	var refused *jetstream.APIError
	return errors.As(err, &refused) && refused.ErrorCode == codeInProcess
}

// meets reports whether a pass ended only because it met another publisher, and has not
// for suspiciously long.
func (p *Publisher) meets(err error) bool {
	if !errors.Is(err, errMet) {
		p.met = 0
		return false
	}
	p.met++
	return p.met <= metMost
}

// metPause is different each time: two that met should not meet again.
func metPause() time.Duration { return metPauseMost/2 + rand.N(metPauseMost/2) }

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
