// Package persistence is the contract that every store of dibs keeps, and the
// committer that they share.
//
// A row in claims is a call in progress. Its two unique indexes are what makes
// I1 and I2 true, whatever the actors believe; everything above the store only
// makes it fast. One conformance suite (package storetest) holds all stores to
// this contract.
//
// A batch that starts or ends calls leaves their events in the outbox, by the
// same transaction ([Outbox], I7): what is committed will be published, and what
// is not never was told.
//
// Failure rules. A batch is one transaction: all of it or nothing. Commit
// returns an error only for the batch as a whole, and that error says what is
// known: [messages.CodeUnavailable] means that nothing was applied and nothing
// ever will be; [messages.CodeOverloaded], the same, because others were in the
// way of this batch again and again, while the store is well;
// [messages.CodeBadRequest], the same, because of what one of the writes says;
// [messages.CodeOutcomeUnknown], that it cannot be told. An error
// of any other kind counts as unknown. What becomes
// of one write of a batch (lost to a unique index, no such client) is an
// outcome, not an error.
package persistence
