// Package fleet simulates dialers: agents that call clients of a dibs server,
// over HTTP or NATS as other programs do, and watch what it answers.
//
// The model. An [Agent] is a pure state machine: told what came of its last
// request it says what it does next and when that is meant to happen. A [Plan]
// says how long agents think, talk and wrap up, whom they choose, and for how
// long the whole goes on. [Run] gives each agent a goroutine and a [Link] of its
// own.
//
// Latency is counted from the moment when a request was meant to be sent. An
// agent's appointments do not move when an answer is late, so a server that
// stalls is charged with everybody who would have called meanwhile ("coordinated
// omission", G. Tene, 2015). An agent that runs flat out has no appointments: it
// sends when it has an answer, and is counted from then.
//
// A [Checker] holds what was seen against the promises of dibs: that no client is
// in two calls (I1) and no user either (I2), that whoever was refused was refused
// for a call that was in progress (I4), and that fencing tokens rise (I6). It
// knows only when requests left and answers came, so it never accuses for what
// may have been in order: a call counts as held from the answer to its start
// until its end is sent, and as possibly held from the sending of its start until
// the answer to its end.
//
// The clock is the process's own, as time since the run began. One process sees
// one order of things; what other programs do to the same clients meanwhile is
// not seen, so a fleet should have clients of its own.
package fleet
