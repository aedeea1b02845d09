// Package sqlite is the store of a dibs that has no database server: one file,
// as durable as Postgres (write-ahead log, synchronous=FULL).
//
// # One writer, many readers
//
// SQLite has one writer at a time, whoever it is. In a process that is the one
// connection of the type writer, which a transaction holds from before its
// BEGIN IMMEDIATE to after its COMMIT; across processes (the command line works
// on the file while the server runs) it is the file's lock, which is asked for
// every few milliseconds, so that a busy neighbour's pauses are found. A
// transaction that holds both cannot be deadlocked and never has to be retried.
// Readers have connections of their own and see what was committed last; they
// wait for nobody.
//
// Because all statements of a transaction run alone, it may look first and
// write then; the unique indexes are what holds if that should ever be wrong.
//
// # Failures
//
// What goes wrong before COMMIT is rolled back, and that is certain: frames of
// the log without the mark of a commit count for nothing. A COMMIT that could
// not write (disk full) has no such mark either. But one that wrote and could
// not sync may come to light after a crash, although it is not visible now. So
// after any other failed COMMIT the store looks for the transaction's own mark
// (table writers) and then commits something harmless: the log is overwritten
// from where the lost transaction began, and its fate is sealed. Until that has
// worked, the outcome is unknown and claims are not read.
package sqlite
