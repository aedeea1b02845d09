// Package model is what dibs promises, said once more and from the outside: a
// sequential machine that knows who calls whom, and a check whether a recorded
// history of requests and answers could have come from it ([Check]).
//
// It is written for this purpose alone and shares nothing with the state
// machines that dibs runs: what both got wrong in the same way would go
// unnoticed.
//
// # Model
//
// Users and clients come in groups of [Size] each, and nobody calls a client of
// another group, so each group is a history by itself. Its state is the call
// that each user is on, and the highest token that each client has had. I1, I2
// and I6 are what a start needs to succeed; I4 is what a refusal needs; I3 is
// that the state never forgets, down to the claims found in the store at the
// end ([Found]).
//
// # What is not known
//
// A request without an answer may take effect at any time after it was sent, a
// paused node being what it is: it stays open until the end of the history, and
// the checker may put it anywhere. What narrows that down is only what is
// certain: an open start is told which call it made, by what the store has at
// the end, and one that made none is left out, as if it had been refused.
package model
