// Package postgres is the store for teams and fleets: Postgres 15 or later,
// through pgx.
//
// Writes run in transactions. The isolation is read committed: a unique index
// decides who is first, and a statement that comes after sees who that was. There
// are three ways to write a batch:
//
//	           when                              round trips   a lost reply
//	at once    a few plain starts and ends, on   1             the session's end is waited
//	           a server that nobody shares                     for, then looked what is there
//	swiftly    otherwise                         2 (keys: 3)   the transaction's id is looked up
//	carefully  after a surprise, and a while     2 to 4        the transaction's id is looked up
//	           longer
//
// At once and swiftly, a batch is written as if nothing stood in the way of its
// writes; an index that refuses one, or a look at what came back, says that it must
// be written again carefully, where each gets an outcome of its own.
//
// Exact outcomes. But for batches at once, the transaction's id is read before the
// commit, which the shared [github.com/dibs-calls/dibs/persistence.Committer]
// runs. When the answer of a commit is lost, the id is looked up ([tx.Resolve]); a
// server that crashed may give the ids of lost transactions out again, so
// "committed" only counts together with a row that this transaction alone could
// have written. What cannot be told in time is remembered, and no claim is read
// before the server says that it is over.
//
// A place in the database ([Store.Occupy]) tells servers that trust their memory
// from those that share. It needs sessions of its own: a connection pool between
// dibs and Postgres must not share them (no transaction mode).
//
// With a synchronous standby: a write that was broken off while it waited for the
// standby counts as committed once the primary has it, and I3 then holds on the
// primary alone until the standby has caught up.
//
// Two pools: one for what an actor or a request waits for, whose plans are made
// once and always walk the indexes (a plan made for an empty table would
// otherwise outlive a large import), and a small one for lists and searches,
// whose plans fit the search. A slow list never takes the journal's connection.
package postgres
