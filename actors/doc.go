// Package actors runs the claim engine on protoactor-go: the shells around the
// pure state machines of packages user and client, the journal that commits in
// groups, and the sweeper.
//
// # Model
//
// [System] is the way in. A command goes to the actor of its user, which asks
// the actor of the client to reserve, hands its write to the journal, and answers
// when the write is committed. Shells are thin: they decode a message, take a
// step of the machine, and carry out the effects in order. They never block:
// whatever takes time comes back as a message.
//
// # Who owns what
//
// A machine's state belongs to its shell, and is touched only by the goroutine
// that runs its mailbox. Actors are found through a directory, which also wakes
// them; whoever sends holds the directory's lock for reading, so that an actor
// that nobody is sending to can be taken out without losing a message.
//
// What only one at a time needs is used again: the memory for the effects of a step, and
// the seat at which a caller waits. Nothing is that somebody may still come to: a caller who
// gives up leaves no seat behind, and an ask is never used twice.
//
// # Ordering
//
// Where it is certain what an actor would say if it were asked now, it is not asked: it
// shows that (glance.go), and refusals and questions about availability are read off. It
// writes what it shows before it carries out the effects of a step.
//
// Between two actors, messages arrive in the order in which they were sent. The
// journal commits several batches at a time, but never two with writes about the
// same client, and those in the order in which they came.
//
// # Failure
//
// A panic costs an actor its state, not its mailbox: those who waited are told
// that the outcome is unknown (or their request is put back in line where that
// is safe), and a new incarnation starts from the store. A read that an earlier
// incarnation asked for is dropped; a write that it had under way is waited for
// before anything is read.
//
// # Several nodes
//
// With a [Placement] an actor lives at one node of several, and a command is carried out
// where its user's actor lives. The receiver decides whether that is so, with the lock held
// under which actors wake; who asked looks again. What an actor remembers is told only
// while [Placement.Valid]; what the store said to a command is told always. When homes move,
// [System.LetGo] stops actors once what they have under way is committed. Between nodes,
// messages of actors may be lost, come twice or be overtaken; see package wire for what is
// said, and packages user and client for how they live with it.
//
// When the store fails or stalls, the gate closes: commands are refused at once
// instead of piling up, until the store answers again.
package actors
