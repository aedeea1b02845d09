// Package natsapi tells the world what happened: it carries committed events
// from the outbox to a JetStream stream, and brings those of all nodes back.
//
// The model. [Open] starts a NATS server inside the process ([Embedded]) or
// connects to one, and returns a [Bus]. A [Publisher] moves rows of the
// [Outbox] to the stream DIBS_EVENTS; a [Feed] follows that stream. A [Service]
// answers requests.
//
// Nobody else should publish on dibs.events.>. Who may publish anything at all can
// still have the server put something there: with dibs.events.x as the reply subject
// of an event for JetStream, its acknowledgement lands on the stream. It is no event;
// a feed skips it and says so, and so should every other reader.
//
// # From commit to stream
//
// The store writes a row of events in the transaction that they are about, so a
// committed event is in the outbox or it was acknowledged by JetStream; there is
// no third place (I7). A pass of the publisher reads rows, publishes their
// events, and waits for the acknowledgements. Every [settleEvery] it makes sure that
// what was acknowledged is on stable storage, and clears the rows: readers need not
// wait for that, and one flush serves many rows ([Publisher.settle]). Where the embedded
// server is one of several, those that keep the stream are asked to flush ([keepers]). A
// crash at any point leaves rows that are published again, under the same Nats-Msg-Id:
// within the stream's duplicate window JetStream drops them, past it a reader sees them
// twice.
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
// What was read from the outbox is sent for a few seconds ([sendWithin]), so that
// nodes are never further apart than the stream's duplicate window
// ([DefaultDuplicates]). A duplicate that is older (of a node that was down for
// longer between publishing and clearing) is stored again, behind events that it
// preceded. It carries its call's fencing token, by which a reader can tell that it is
// old news.
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
//   - A row of the outbox cannot be read: what can be read of it is published, and
//     the row is set aside ([Outbox.SetOutboxAside]), counted and logged.
//   - The machine loses power: see [Embedded.Sync].
//
// Memory is bounded: a pass holds some thousand events, whatever the backlog.
//
// Where no other program can reach the NATS, nothing is published ([Bus.Heard]): rows
// stay in the outbox, bounded by who owns the store.
//
// # From stream to reader
//
// A node with NATS inside that is not one of a cluster has its store for itself, so
// what there is to hear is what its own publisher says. That tells its feed directly
// ([echo]), and nothing is read back from the stream; where it publishes nothing there is
// nothing to hear.
//
// All others have a [Feed]. It reads the stream through a consumer of its own that nobody
// acknowledges and the server forgets. It compares sequence numbers itself:
// any gap, a stream made anew, or one that lost its end is told as
// [live.Sink.Reset]. A lost connection is told at once, a server that has gone
// silent within about a second.
//
// # Call events of other services
//
// An [Ingester] takes what telephony services (a PBX, a predictive dialer)
// report of calls that began and ended elsewhere: CloudEvents 1.0 in structured
// JSON on [IngestStarted] and [IngestEnded], kept by the stream DIBS_INGEST until
// a node has taken them. The stream is a work queue with one durable consumer,
// "dibs", which all nodes share; when it is full, publishers are refused.
//
// The event: specversion "1.0", id, source and type as the subject says (call.started,
// call.ended); other attributes do not matter. Its data: user_id or user_email;
// client_id or client_phone in any spelling (needed for a start alone); call_ref,
// how the source names the call; occurred_at (else the event's time); and where
// wanted lease_seconds of a start and disposition of an end. A call_ref that is a
// UUID can be the id of a call that the service claimed over HTTP or
// request/reply: it is, if the user who is named is on that call, or if it is over.
// From any other reference, and from the id of somebody else's call, another id
// follows ([messages.Report.Call]). A reference must not be used again for another
// call: that one would be over before it began. Start and end are two events, and
// have different ids. The user of an end is that of the start: nobody ends the call
// of somebody else. A number that several clients have names the one that the user is
// in a call with, and else nobody.
//
// Exactly once. The store records (source, id) in the transaction of the effect,
// so an event that comes twice has none the second time, whatever crashed in
// between. Which call was reported stands there too: the end of a call that has
// not begun is recorded, and its start then begins nothing. What stands in the
// way of a start is answered by a status event call.refused, whose data.refusal
// holds code, source, id, call_ref and who holds the client ([messages.Refusal]).
//
// What cannot be applied goes to DIBS_DEAD as dibs.dead.<subject> (as
// dibs.dead.long.<hash> if its subject has 1 KiB or more, see longSubject), with the
// reason in its headers, before it is acknowledged: what is malformed at once,
// whose user or client is not there after about a minute of tries, and the start of
// a call that began longer ago than ends are remembered ([IngestConfig]). An event
// that waits for its next try is in nobody's way. [DeadLetters] works them off. When
// their stream is full, what cannot be applied waits in the ingest stream, is looked
// at again after ten seconds to ten minutes, and is in nobody's way there either
// ([maxUnacked]).
//
// The store away: nothing is fetched, what is in hand is tried again for ever,
// and neither lost nor given up. An event that gets no answer though the store is
// there goes back to the stream, and is given up only if that happens again and again
// while others get theirs. Memory is bounded by what a node has in hand ([inHand]
// events of at most [maxReport] bytes), whatever waits in the stream.
//
// Events of one user are told one after the other, in the order of the stream as
// long as one node has them all; nothing depends on it. Few of them are in hand at
// once ([lineMost]): the others go back and come again behind each other, so that
// nobody with very many events holds up the rest. No event overtakes one that went back
// before it, but for some seconds after a start, when those come again that a process before
// put back; and one that waits for somebody who is not there is waited for by nobody.
//
// An acknowledgement of JetStream is not yet stable storage. An event that the
// embedded server has acknowledged outlives the process, and a loss of power unless it
// came within the last second ([syncInterval]); an external one has its own
// sync_interval, two minutes unless it is told otherwise. A dead letter is brought to
// stable storage before its event is let go, by the embedded server, or by those of several
// that keep the stream of letters.
package natsapi
