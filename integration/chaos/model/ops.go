package model

import "math"

// Size is how many users, and how many clients, a group has.
const Size = 3

// Kind is what an operation asks for.
type Kind uint8

// Kinds of operations.
const (
	Start     Kind = iota // User calls Client
	End                   // User ends Call, or whichever they are on
	Renew                 // User goes on with Call, naming Token
	Available             // may Client be called?
	Expired               // the store says that Call ended by its lease; nobody asked for it
	Found                 // at the end: the call that User is on by the store
)

func (k Kind) String() string {
	return [...]string{"start", "end", "renew", "availability", "expiry", "found"}[k]
}

// Verdict is how an operation was answered.
type Verdict uint8

// Verdicts.
const (
	Unknown           Verdict = iota // not answered: it took effect, or will, or not
	Done                             // carried out
	UserOnCall                       // refused: User is on Held
	ClientBeingCalled                // refused: By calls Client
	CallOver                         // refused: Call is over, or Token not its own
)

func (v Verdict) String() string {
	return [...]string{"?", "done", "user on call", "client being called", "call over"}[v]
}

// CallID names a call within a history. NoCall is none.
type CallID int

// NoCall is the absence of a call.
const NoCall CallID = 0

// Nobody is the absence of a user; Stranger is one who is not of the group.
const (
	Nobody   = -1
	Stranger = -2
)

// Call is a call as an answer shows it.
type Call struct {
	ID     CallID
	Client int
	Token  int64
}

// Op is an operation: what was asked, when, what was answered, and when.
type Op struct {
	Kind    Kind
	User    int    // but for Available
	Client  int    // Start, Available
	Call    CallID // End (NoCall: any), Renew, Expired
	Token   int64  // Renew
	Sent    int64  // nanoseconds on the history's clock
	Settled int64  // the same; [Open] without an answer
	Process int    // whoever asked; one request at a time

	Verdict Verdict
	// Held is the call of the answer: the one that a start made (of one without
	// an answer: by the store), the one in the way (UserOnCall), the one renewed,
	// the one found (NoCall: none).
	Held Call
	// By is who calls the client (ClientBeingCalled, Available); Nobody: it is
	// free.
	By int
}

// Open is the end of an operation without an answer: later than everything.
const Open = math.MaxInt64
