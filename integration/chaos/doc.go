// Package chaos breaks dibs on purpose and shows that its promises hold: real
// nodes on a real Postgres and a real NATS, a node with the built-in store on a
// small disk, many callers, and one seeded schedule of faults.
//
// # What happens in a run
//
// Callers ([team]s of three users and three clients) start, end and renew calls
// and ask who may be called, through any node, and every request is recorded
// with the time at which it was sent and answered, on one clock. Meanwhile the
// schedule kills, pauses and stops nodes, Postgres and NATS, cuts and delays
// the links between them, fills disks and moves clocks. Probes that belong to
// no team measure how long nobody was served.
//
// At the end everything is healed, and what is left is held to I1–I8: each
// team's history to an independent model (package model, by porcupine), the
// store's rows to the history, and the event stream to the store.
//
// # Why it can be believed
//
// The same load and the same checks find dibs guilty when one of its guards is
// taken out: an index dropped, or a binary built from sources in which one
// condition is replaced ([mutation]). Nothing of that exists in the program
// itself.
//
// docs/testing-faults.md says how to run it and how to replay a seed.
package chaos
