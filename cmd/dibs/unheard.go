package main

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/persistence"
)

// unheard bounds what waits in the outbox while nobody can hear status events, by the limits that
// the event stream would have: how old they may be, and how many bytes.
//
// What is there is measured once, a piece at a time, and then only what is new; what
// it removes it takes off. Its fields belong to the goroutine of the upkeep.
type unheard struct {
	outbox persistence.Outbox
	age    time.Duration
	most   int64

	last  int64 // the row up to which it was measured
	bytes int64 // of the events up to there
}

// trim measures some rows, and removes some that are too old or too much. It reports how many it
// removed, and whether there is more to do at once.
func (u *unheard) trim(ctx context.Context) (removed int, more bool, err error) {
	defer func() {
		if err != nil { // what went, if anything did, is not known: measure all of it again
			u.last, u.bytes = 0, 0
		}
	}()
	part, last, err := u.outbox.OutboxSize(ctx, u.last, pruneLimit)
	if err != nil {
		return 0, false, err
	}
	u.last, u.bytes = last, u.bytes+part.Bytes
	gone, err := u.outbox.TrimOutbox(ctx, u.age, u.bytes-u.most, pruneLimit)
	if err != nil {
		return 0, false, err
	}
	u.bytes = max(0, u.bytes-gone.Bytes) // a row that was committed late was not measured
	more = part.Rows >= pruneLimit || gone.Rows >= pruneLimit || gone.Bytes >= persistence.TrimBytes/2
	return gone.Rows, more, nil
}
