// Package simulation drives the two state machines through random
// interleavings: many users and clients, a network that only keeps the order
// between two actors, a journal that fails at every stage, actors that panic
// and retire, callers that give up, leases that run out; between nodes also
// messages that are lost, come twice or late, and users who are taken over.
// Everything follows from a seed, so a failure is replayed with
//
//	go test ./actors/simulation -run TestInterleavings -seed N
//
// The checks are made on a history of what the callers saw and of what the
// store committed, not on the machines' own idea of it.
package simulation
