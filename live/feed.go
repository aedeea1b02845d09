package live

import (
	"context"
	"fmt"

	"github.com/dibs-calls/dibs/messages"
)

// Offset is a place in the stream of status events. The zero value is before
// everything.
type Offset struct {
	Epoch string // the incarnation of the stream: a stream made anew has another
	Seq   uint64 // strictly increasing within an epoch; gaps mean nothing
}

// String is for logs.
func (o Offset) String() string { return fmt.Sprintf("%s:%d", o.Epoch, o.Seq) }

// Feed brings status events of all nodes. What it must do:
//
//   - Begin after [Sink.Position] if the stream still has everything from there
//     on and the epoch is the same. Otherwise (the zero Position of a new model
//     included) attach to the end of the stream, then call Reset with the last
//     offset before the first event that it will bring, then go on. Reset must
//     come after the attaching, so that nothing lies between the truth that the
//     model reads then and the first event.
//   - Call Apply for every event, in the order of the stream. At least once is
//     enough: what comes again is dropped.
//   - Call Reset whenever events were missed: the stream was made anew, its
//     limits have deleted what was not read yet, a consumer skipped something.
//   - Call Stale(true) as soon as it may be missing events (the connection is
//     gone, heartbeats stay away), and Stale(false) when it is attached again
//     and has brought what had piled up on the stream. A model is stale until it
//     is told otherwise, and then until it has read the truth; telling it twice
//     does no harm.
//   - Reconnect by itself, and return only when ctx ends. A Feed that returns
//     before that is run again after a pause.
//
// An event that cannot be decoded is to be logged and skipped; the truth covers
// for it.
type Feed interface {
	Run(ctx context.Context, to Sink) error
}

// Sink takes what a [Feed] brings. Its methods never wait for anything slow;
// they are called by one goroutine at a time.
type Sink interface {
	// Position is the offset of the last event that was applied, or of the last
	// Reset: where a Feed that was interrupted goes on.
	Position() Offset
	// Apply takes one event.
	Apply(at Offset, e messages.Event)
	// Reset says that what was published up to at may not have been brought.
	Reset(at Offset)
	// Stale says whether events may be missing right now.
	Stale(stale bool)
}

// LocalFeed is the feed of a process that is alone with its store: all there is
// to hear comes by [Model.Committed].
type LocalFeed struct{}

// Run implements [Feed].
func (LocalFeed) Run(ctx context.Context, to Sink) error {
	to.Stale(false)
	<-ctx.Done()
	return ctx.Err()
}
