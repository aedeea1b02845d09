package fleet

import "time"

// Outcome is what came of a request.
type Outcome uint8

// The outcomes.
const (
	// Unknown: no answer came, or one that does not say what became of it.
	Unknown Outcome = iota
	// Done: a call was started or ended, a question was answered.
	Done
	// ClientBusy: somebody else is calling the client.
	ClientBusy
	// UserBusy: the user is on a call.
	UserBusy
	// NotNow: the server has more to do than it can (503, 429); nothing was done.
	NotNow
	// Failed: the request was refused for another reason; nothing was done.
	Failed
	outcomes
)

// String names the outcome, as reports have it.
func (o Outcome) String() string {
	return [outcomes]string{"no answer", "done", "client busy", "user busy", "not now", "failed"}[o]
}

// Answer is the answer to one request.
type Answer struct {
	Outcome Outcome
	Call    string        // of a start: the id of the call
	Token   int64         // of a start: its fencing token; 0: not told
	Wait    time.Duration // with NotNow: how long the server asked to wait; 0: not told
	// Because is why not: with ClientBusy the id of who is calling, with UserBusy
	// that of the client whom the user is calling. Empty: not told.
	Because string
	Detail  string // with Unknown, NotNow and Failed: why, for a person
}

// Link is one way to the server: a connection, or a share of one. It is used by
// one goroutine at a time. Every method returns within the timeout that the link
// was made with.
type Link interface {
	// Start claims client for user. A lease of zero is the server's default.
	Start(user, client string, lease time.Duration) Answer
	// End ends the call with this id; with an empty one, whichever the user is on.
	End(user, call string) Answer
	// Look asks whether client can be called.
	Look(client string) Answer
	// List asks who is on a call.
	List() Answer
	Close()
}

// Network makes links to one server.
type Network interface {
	Link() Link
}
