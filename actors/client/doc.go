// Package client is the state machine of one client: who is first, and who
// holds the client (I1).
//
// It is pure, like package user: [Step] takes a state, the time and a message,
// and returns the next state and the effects to carry out, in order.
//
// # Phases
//
//	         reserve                confirm
//	free ──────────────► reserved ──────────► held
//	 ▲                      │  lost              │
//	 │   withdraw, overdue  │ ───────────────►   │
//	 ├──────────────────────┘                    │
//	 └───────────────────────────────────────────┘
//	              released, holder says off
//
// A client actor wakes up free and unverified, and reads nothing: if it missed
// a claim, the store's unique index refuses the next one, and then it learns
// the holder. Only a question about availability makes it read the store, once;
// then it is verified, because from then on every claim passes through it.
//
// # A refusal is true (I4)
//
// Whoever asks while a claim is being committed waits for that commit. Whoever
// asks while the client is held waits while the actor asks the holder whether
// the call is still on. One question serves all who were waiting when it was
// asked and nobody who came later, because its answer may be older than their
// request. So an actor that missed a release heals by itself, and no refusal
// depends on how fast a message travels.
//
// # Nobody waits for ever
//
// While anybody waits, the shell reminds the actor from time to time. A
// reservation that is neither confirmed nor withdrawn by then is looked into by
// asking the user actor; a question without an answer is asked again.
//
// # Users at other nodes
//
// With State.Distant messages may be lost, come twice, or be overtaken. Then questions
// come again sooner, a reservation that is asked for twice waits once, and nobody is told
// from memory that the client is free: a claim may be committed whose confirmation is on
// its way.
package client
