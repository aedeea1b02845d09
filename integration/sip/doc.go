// Package sip holds the tests of examples/kamailio: the configuration as it is
// delivered, in a real Kamailio, between phones that sipp plays, with the real
// dibs binary and a real NATS server. Everything listens on free ports of the
// loopback interface and keeps its files in temporary folders.
//
// A phone is a sipp process. What it sees it writes to its log (testdata says
// how); the test is the hand at it.
//
// With -short the stream of calls lasts ten seconds instead of a minute, and what
// waits long for something is left out.
package sip
