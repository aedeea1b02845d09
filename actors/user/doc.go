// Package user is the state machine of one user: the truth of the user's one
// call (I2).
//
// It is pure. [Step] takes a state, the time and a message, and returns the
// next state and the effects to carry out, in order. It has no clock, no lock
// and no I/O; the shell in package actors gives it those.
//
// # Phases
//
//	asleep ──► loading ──► idle ◄──────────────────────────┐
//	                │       │ start                        │ refused, lost,
//	                │       ▼                              │ not applied
//	                │     reserving ──► claiming ──────────┤
//	                │                      │ committed     │
//	                ▼                      ▼               │
//	              onCall ◄──────────────────               │
//	                │ end, expire, save log                │
//	                ▼                                      │
//	              ending ──────────────────────────────────┘
//
// From onCall a renewal goes through renewing and comes back. From idle and
// onCall anything that has only something to record (a log of another call,
// the answer that belongs to an idempotency key) goes through noting and comes
// back. An actor that panicked while a write was under way begins its next life
// recovering: it loads only when that write is over.
//
// # Ordering
//
// One command is under way at a time; the others wait in a bounded queue, in
// the order in which they came. Nothing is answered from a claim that is not
// committed. An answer that tells of a commit is sent after the client actor
// was told of it, so that whoever hears the answer and asks the client actor
// next is told the same.
//
// # A shared store
//
// With State.Shared other processes write to the same store, and no memory of
// it can be trusted: every command, and every question about a held call, begins
// with a read, and what was read is forgotten when it is answered.
//
// # Living elsewhere
//
// [Leave] gives back what was not begun, and lets what is being committed go on; the shell
// stops the actor when it is AtRest. [Again] asks for a reservation once more: between
// nodes a message may be lost. A reservation that is granted and that nobody here waits for
// is withdrawn. Reply.Stored tells answers that the store gave from those from memory, which
// a node may tell only while its membership is certain. With State.Distant a claim that is
// not found after its commit had an unknown outcome may have been committed all the same,
// and ended by another node since: its outcome stays unknown, and may be asked after.
//
// [StartAgain] is a start that was lost with the node that carried it out. Its call is not
// in progress: so the machine asks whether it has ended ([Seek]) before it does anything
// else, and neither refuses nor begins a call that there was.
//
// # Reports
//
// What a telephony service reports (messages.ReportStarted, ReportEnded) ends in
// a write that carries the report, a refusal and a repeated one too: the store
// alone knows whether the event took effect before, and which calls are over. A
// reported start that finds another call in the way asks the store to end that
// one as superseded, and begins anew when it did; an end of a call that is not
// known here is a release that names no token. If the call in the way is with the same
// client, the store is first asked to adopt it: it was claimed by somebody who dialled
// then, and is the one that is reported, by another name. An end of a call that is not
// known here may be the end of that one; so it goes through ending if the user is on a
// call. No outcome is final for a report that the store has not recorded: it may be made
// again.
//
// # Failure
//
// Whatever the store did not do for certain leaves the state as it was. When
// the outcome of a commit is unknown the machine reloads from the store before
// it answers anybody; if that fails too, it says that it does not know, forgets
// everything, and reloads when it is next asked.
//
// Every command that carries an idempotency key ends in a write that carries
// the key, a refusal from memory included: the store alone knows whether the
// key was used before (I8).
package user
