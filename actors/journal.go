package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/dibs-calls/dibs/actors/user"
	"github.com/dibs-calls/dibs/messages"
)

const commitTimeout = 5 * time.Second

var errStalled = errors.New("a commit takes too long")

// entry is a write on its way, and where its outcome goes.
type entry struct {
	write *messages.Write
	to    *place
}

// finish asks a journal to close done as soon as it has nothing left to write.
type finish struct{ done chan struct{} }

// batchDone tells a journal that a batch is done, and its writer free again.
type batchDone struct {
	writer *writer
	batch  []entry
}

// journal is the persistence actor. It collects writes while batches are being
// committed, and hands them to writers, batch by batch. Its fields are touched only
// by the goroutine that runs its mailbox; batches are handed to writers whole.
type journal struct {
	batches *batches
	free    []*writer
	done    []chan struct{} // of each finish that is not answered: a node that rests may be stopping
}

func (j *journal) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *place: // of a user actor whose write it is
		j.batches.add(entry{write: m.writing, to: m})
	case batchDone:
		j.batches.done(m.batch)
		j.free = append(j.free, m.writer)
	case finish:
		j.done = append(j.done, m.done)
	default:
		return
	}
	for batch := j.batches.next(); batch != nil; batch = j.batches.next() {
		last := len(j.free) - 1
		j.free[last].batches <- batch // has room: one batch at a time
		j.free = j.free[:last]
	}
	if len(j.done) > 0 && j.batches.idle() {
		for _, done := range j.done {
			close(done)
		}
		j.done = nil
	}
}

// writer commits batches of the journal, one at a time, on a goroutine of its own.
type writer struct {
	store    Journal
	gate     *gate
	observer Observer
	users    *directory
	tell     func([]messages.Event) // before the users are told
	journal  func(any)              // sends to the journal
	batches  chan []entry
	stall    *time.Timer // runs while a batch is being committed

	// Used again for each batch, by the goroutine of run alone: neither the store nor
	// who is told keeps what it is given.
	writes []messages.Write
	events []messages.Event
}

// run commits until batches is closed.
func (w *writer) run() {
	for batch := range w.batches {
		outcomes := w.commit(batch)
		w.tellEvents(outcomes)
		for i, e := range batch {
			w.users.reply(e.to, user.Written{Outcome: &outcomes[i]})
		}
		w.journal(batchDone{writer: w, batch: batch})
	}
}

// tellEvents tells this process's readers what was committed, so that nobody
// who was answered finds them behind.
func (w *writer) tellEvents(outcomes []messages.Outcome) {
	w.events = w.events[:0]
	for i := range outcomes {
		if e := outcomes[i].Event; e != nil {
			w.events = append(w.events, *e)
		}
	}
	if len(w.events) > 0 {
		w.tell(w.events)
	}
	clear(w.events)
}

// commit returns an outcome for every entry, whatever happens.
func (w *writer) commit(batch []entry) []messages.Outcome {
	outcomes, err := w.tryCommit(batch)
	switch messages.CodeOf(err) {
	case messages.OK:
		return outcomes
	case messages.CodeBadRequest:
		if n := len(batch); n > 1 { // one of them spoils it for the others
			return append(w.commit(batch[:n/2]), w.commit(batch[n/2:])...)
		}
		return []messages.Outcome{{Kind: messages.OutcomeRefused}}
	case messages.CodeOverloaded: // too much contention; the store is well
		return allOutcomes(len(batch), messages.OutcomeNotApplied)
	case messages.CodeUnavailable:
		w.gate.shut(err)
		return allOutcomes(len(batch), messages.OutcomeNotApplied)
	}
	w.gate.shut(err)
	return allOutcomes(len(batch), messages.OutcomeUnknown)
}

func (w *writer) tryCommit(batch []entry) ([]messages.Outcome, error) {
	w.writes = w.writes[:0]
	for _, e := range batch {
		w.writes = append(w.writes, *e.write)
	}
	defer func() { clear(w.writes) }()
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	w.stall.Reset(stallAfter)
	defer w.stall.Stop()
	start := time.Now()
	outcomes, err := commitSafely(ctx, w.store, w.writes)
	w.observer.BatchCommitted(len(batch), time.Since(start), err)
	return outcomes, err
}

func allOutcomes(n int, kind messages.OutcomeKind) []messages.Outcome {
	outcomes := make([]messages.Outcome, n)
	for i := range outcomes {
		outcomes[i].Kind = kind
	}
	return outcomes
}

// commitSafely makes a panic in the store an unknown outcome: the writer must
// live, because its journal waits for it.
func commitSafely(ctx context.Context, store Journal, writes []messages.Write) (outcomes []messages.Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("commit panicked: %v", r)
		}
	}()
	outcomes, err = store.Commit(ctx, writes)
	if err == nil && len(outcomes) != len(writes) {
		err = fmt.Errorf("%d outcomes for %d writes", len(outcomes), len(writes))
	}
	return outcomes, err
}
