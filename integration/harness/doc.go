// Package harness drives the real dibs binary from tests: it builds it once,
// starts it on a free port with a store of the test's choice, runs its
// commands beside it, stops it in gentle and in brutal ways, and speaks its
// HTTP API as a front-end would.
//
// Nothing in here reaches into the process: what it knows it knows from
// outside, as a user or an operator does. A process that a test starts ends
// with the test, whatever becomes of the test; its output is shown when the
// test fails.
package harness
