// Package wire is what all transports say alike about calls: the JSON of
// requests and answers, how a request becomes a command of the engine, and how
// a refusal is worded.
//
// The model. A transport finds out who is asking and what they sent, and hands
// a [Change] to the [Desk], which checks it, asks the engine and returns the
// answer to send or a [Problem]. So a start over NATS cannot come to mean
// anything else than one over HTTP.
//
// Failure rules. Input is checked completely before the engine is asked.
// Errors are Problems, or become one by [ProblemOf]; [Problem.Body] says what
// of it may be told, by one table for the whole closed set of codes. The cause
// is for the log alone.
package wire
