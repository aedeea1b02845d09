// Package natskv is the register of members and the carrier of messages between nodes
// over NATS.
//
// The register is a JetStream key-value bucket, a key a member. Reads go to the leader of
// its stream, never to a copy that may be behind: who writes and then reads must see all
// that was written before. Every write names the revision that it replaces, so that one
// that was thought lost can never replace a later one.
//
// A message to a member is published on dibs.node.<incarnation>, a request with a reply
// subject. Nothing is kept: what nobody hears is lost, and a request says so at once.
package natskv
