// Package integration tests the real binary from outside, on both stores: the
// scenarios of the specification word for word, the README's walk-through as
// it is printed, kill -9 under load, a store that goes away and comes back,
// hostile input, and a stop that loses nothing.
//
// A test here says in its comment which promise it holds: I1 to I8 are the
// invariants in CONTRIBUTING.md. With -short the faults are tried a few times,
// without it often.
package integration
