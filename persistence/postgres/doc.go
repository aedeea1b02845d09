// Package postgres is the store for teams and fleets: Postgres 15 or later,
// through pgx.
//
// Every write runs in a transaction of the shared
// [github.com/dibs-calls/dibs/persistence.Committer]: one round trip to begin
// and carry out the statements, one to commit (a batch with idempotency keys
// takes one more before, one with refused claims one more in between). The
// isolation is read committed: a unique index decides who is first, and a
// statement that comes after sees who that was.
//
// Exact outcomes. The transaction's id is read before the commit. When the
// answer of a commit is lost, the id is looked up ([tx.Resolve]); a server that
// crashed may give the ids of lost transactions out again, so "committed" only
// counts together with a row that this transaction alone could have written.
// What cannot be told in time is remembered, and no claim is read before the
// server says that it is over.
//
// Two pools: one for what an actor or a request waits for, whose plans are made
// once and always walk the indexes (a plan made for an empty table would
// otherwise outlive a large import), and a small one for lists and searches,
// whose plans fit the search. A slow list never takes the journal's connection.
package postgres
