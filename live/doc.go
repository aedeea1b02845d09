// Package live is what one API node knows about users and calls in progress,
// and how everybody who wants to know hears of it.
//
// The model. [Model] learns from three sources, in any order and as often as
// they like:
//
//   - [Model.Committed]: what this node itself committed, before the caller is
//     answered. So this node shows at once what it acknowledged.
//   - a [Feed]: what any node committed, from the stream of status events.
//   - the [Truth]: the store, read every 30 seconds. What differs from it is
//     repaired, counted and logged.
//
// It serves two things, neither of which touches the store:
// [Model.StatusBody], the list of users, encoded and compressed once a version;
// and [Model.Stream], a snapshot of the calls in progress and then each change,
// encoded once for all readers.
//
// Ordering. The fencing token orders the calls of a client, the store's clock
// those of a user. From that alone the state decides whether an event is news:
// a duplicate, a start that comes after the end of its call, an event of an
// older call change nothing. A call that must have ended, because a later one
// of its client or its user is known, ends then; its end has no reason, because
// nobody has said one yet. Readers are told changes of the model, not events of
// the stream, so what a reader knows is always what the model knew at some
// moment, and never goes back.
//
// Names are not part of that: the truth brings new ones of users and clients,
// [Model.ClientsChanged] those that this node wrote. Readers are told in a frame
// of their own, "call.changed".
//
// A reader's position is a number of this process's own ("epoch:number"), not
// one of the stream: what this node committed goes out before the stream has
// it, so positions in the stream cannot say what a reader has seen. A reader
// that comes back to another process gets a snapshot.
//
// Reconciliation. The model takes a mark, reads the truth, waits a moment for
// what is under way, and then corrects everybody who was not heard of since the
// mark: what was committed after the truth was read is never undone.
//
// Failure rules. When the feed is lost, readers are told "stale" and the model
// goes on with what this node commits and what the truth says. When it is back,
// the truth is read before they are told that all is well: so the model is right
// at once, however long a backlog of old news takes to arrive. A start of that
// backlog which the truth did not show is not shown either, but has the truth read
// again, for it may have been committed a moment after. When the feed
// missed something ([Sink.Reset]), every reader gets a fresh snapshot as well. A
// reader that cannot keep up is cut off; it never holds up anybody, nor more memory
// than what all readers share: the ring, and a few snapshots.
//
// Locks. Model.mu guards the state and is held for microseconds; the ring of
// frames has a lock of its own, taken inside it. Encoding and compression
// happen outside both.
package live
