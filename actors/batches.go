package actors

import "github.com/dibs-calls/dibs/messages"

const (
	maxBatch = 1024
	// besideAt is how many writes must wait for a batch to begin beside one that is
	// being committed. A small batch costs nearly as much as a large one, so fewer
	// wait for the commit under way and go together.
	besideAt = 96
)

// batches forms batches of the writes of a journal. Several may be committed at
// the same time, but never two with writes of the same client: those are committed
// in the order in which they came. It is used by one goroutine.
type batches struct {
	most     int // at the same time
	waiting  []entry
	underway int
	busy     map[messages.ClientID]struct{} // clients with a write under way
	alone    bool                           // the batch under way bears no other beside it
	spare    []entry                        // of a batch that is done: room for those to come
}

func newBatches(most int) *batches {
	return &batches{most: most, busy: make(map[messages.ClientID]struct{})}
}

func (b *batches) add(e entry) { b.waiting = append(b.waiting, e) }

// idle reports whether nothing waits and nothing is under way.
func (b *batches) idle() bool { return len(b.waiting) == 0 && b.underway == 0 }

// next returns a batch to begin now, or nil.
func (b *batches) next() []entry {
	switch {
	case len(b.waiting) == 0 || b.underway == b.most || b.alone:
		return nil
	case b.underway > 0 && (len(b.waiting) < besideAt || anyClient(b.waiting[0])):
		return nil
	}
	batch, rest := b.take()
	if len(batch) == 0 {
		return nil
	}
	if len(rest) == 0 {
		rest, b.spare = b.spare, nil
	}
	b.waiting = rest
	b.underway++
	for _, e := range batch {
		b.busy[e.write.Client] = struct{}{}
	}
	return batch
}

// take chooses the first writes that may be under way now.
func (b *batches) take() (batch, rest []entry) {
	if b.underway == 0 {
		n := min(len(b.waiting), maxBatch)
		for _, e := range b.waiting[:n] {
			b.alone = b.alone || anyClient(e)
		}
		return b.waiting[:n:n], b.waiting[n:]
	}
	batch = make([]entry, 0, min(len(b.waiting), maxBatch))
	for i, e := range b.waiting {
		if len(batch) == maxBatch || anyClient(e) { // nor may what comes later overtake it
			return batch, append(rest, b.waiting[i:]...)
		}
		if _, busy := b.busy[e.write.Client]; busy {
			rest = append(rest, e)
		} else {
			batch = append(batch, e)
		}
	}
	return batch, rest
}

// anyClient reports whether a write may be of any client: it ends a call without
// saying whose.
func anyClient(e entry) bool {
	return e.write.Client.IsZero() && e.write.Kind != messages.WriteNote
}

// done takes note that a batch has been committed, or not. The batch is given back with
// it, and nobody else's any more.
func (b *batches) done(batch []entry) {
	b.underway--
	b.alone = false
	for _, e := range batch {
		delete(b.busy, e.write.Client)
	}
	clear(batch)
	b.spare = batch[:0]
}
