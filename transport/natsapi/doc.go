// Package natsapi tells the world what happened: it carries committed events
// from the outbox to a JetStream stream, and brings those of all nodes back.
//
// The model. [Open] starts a NATS server inside the process ([Embedded]) or
// connects to one, and returns a [Bus]. A [Publisher] moves rows of the
// [Outbox] to the stream DIBS_EVENTS; a [Feed] follows that stream. Nobody else
// publishes on dibs.events.>. A [Service] answers requests.
//
// # From commit to stream
//
// The store writes a row of events in the transaction that they are about, so a
// committed event is in the outbox or it was acknowledged by JetStream; there is
// no third place (I7). A pass of the publisher reads rows, publishes their
// events, waits for the acknowledgements, makes sure that they are on stable
// storage, and clears the rows. A crash at any point leaves rows that are
// published again, under the same Nats-Msg-Id: within the stream's duplicate
// window JetStream drops them, past it a reader sees them twice.
//
// # Ordering
//
// Readers see the events of one client in the order in which they were
// committed, by two rules:
//
//   - [Outbox.OutboxRows] returns no row while an earlier row of one of its
//     clients may still come.
//   - An event is sent only when all earlier events of its client were
//     acknowledged: those of this pass to this publisher, those of rows that are
//     gone to whoever cleared them. The same goes for its user. All others are
//     in flight together.
//
// Both hold for each publisher alone, so they hold for several at once: whoever
// is first to bring an event to the stream had an acknowledgement for every
// earlier one of that client. What the others send later are duplicates.
// Between clients there is no order; of one user's events it is kept as far as
// one publisher goes, which is not a promise.
//
// A duplicate that is older than the duplicate window (a node that was down, or
// paused in the middle of a pass, for minutes) is stored again, behind events
// that it preceded. It carries its call's fencing token, by which a reader can
// tell that it is old news.
//
// # What can fail
//
//   - NATS away, slow, full, or the stream deleted: the pass fails at once
//     (nothing is buffered for a connection that is down), the rows stay, and
//     the next pass comes after a pause that grows to a second; it comes at once
//     when the connection is back. Calls are not affected.
//   - The store away: the same.
//   - An event that cannot be published as it is (too large for the server, or
//     not encodable) is published in a reduced form: ids, type, time and token,
//     without names and texts, and with the CloudEvents attribute dibsreduced
//     that says why. It is counted and logged. So nothing is lost and nothing
//     stands in the way of others.
//   - The machine loses power: see [Embedded.Sync].
//
// Memory is bounded: a pass holds some thousand events, whatever the backlog.
//
// # From stream to reader
//
// [Feed] reads the stream through a consumer of its own that nobody
// acknowledges and the server forgets. It compares sequence numbers itself:
// any gap, a stream made anew, or one that lost its end is told as
// [live.Sink.Reset]. A lost connection is told at once, a server that has gone
// silent within about a second.
package natsapi
