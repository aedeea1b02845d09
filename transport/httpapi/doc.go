// Package httpapi serves dibs over HTTP. The wire is described by
// openapi.json, which is served as /openapi.json and held to the routes and to
// every exchange of the tests.
//
// The model. [API] is one http.Handler. Each route of the table in router.go
// says who may ask, how large a body may be and whether an idempotency key is
// taken; [API.serve] does all of that in one function and in one order, and
// hands the handler an exchange with a known caller and a body that was read:
//
//	panics, metrics, headers → token → role → rate → body → place in the engine → handler
//
// With tracing a span is around all of it (tracing.go); without, there is no sign of it.
//
// The body is read before a place in the engine is taken, so that slow senders
// occupy none, and after the token was checked, so that strangers cannot make
// the server hold a body for them.
//
// A request costs little: it is read into memory that the last one left (room.go), the
// body of a change is read and the answers about calls are written without reflection
// (package wire), what all answers say alike is made once, a timer only when something
// waits for it that has none (patience.go), and the router is asked only for addresses in
// which something is variable. A test counts the allocations.
//
// Failure rules. A handler returns an error; the one table in errors.go turns
// its code into a status and a sentence. Nothing else of an error leaves the
// server. What is not in the closed set of codes is a defect: 500, logged.
// Input is checked completely before anything is asked of the engine or the
// store; what those two would choke on (NUL characters, broken UTF-8, numbers
// out of range) never reaches them.
//
// Ordering. The engine decides about calls; this package decides only who may
// ask. It keeps no state about calls.
package httpapi
