// Package messages is the contract of dibs: what its parts say to each other.
//
// It holds ids, commands (imperative: [StartCall]), their answers ([Answer]),
// what the journal writes ([Write]) and what the store says to it ([Outcome]),
// the records people work with ([User], [Client], [CallLog]) and the closed
// set of error codes ([Code]).
//
// It imports nothing of the project and none of the libraries that the layers
// are built on, so that every layer can speak it. Nothing here does anything:
// no I/O, no clock, no state.
package messages
