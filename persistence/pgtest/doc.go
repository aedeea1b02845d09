// Package pgtest gives tests and benchmarks a real Postgres: a private server
// in a temporary folder (in memory, unless it is to be durable), on a free port of
// the loopback interface, run as an unprivileged user when the test runs as root.
// Nothing on the machine is touched but that folder.
//
// [URL] is for most tests: a fresh, migrated database, on a server that the
// tests of a process share. [StartServer] gives a test a server of its own,
// which it can stop, kill and pause. [New] is the same without package testing.
//
// A missing Postgres fails the test and says what to install; it never skips.
// DIBS_TEST_DATABASE_URL makes [URL] use a server that runs already (its user
// must be allowed to create databases).
//
// Nothing is left behind. Each server has a watchdog, a small shell process
// that waits for the end of a pipe held by the test's process; when that
// process ends, in whatever way, the watchdog kills the server and removes its
// folder.
package pgtest
