package client

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Asker is whoever waits for the answer to a question about availability. The
// machine only hands it back.
type Asker any

// Message is what a client actor can be told: [Check], [GiveUp], [Forget],
// what the store said ([LookedUp], [LookUpFailed]), [Reminder], and from user
// actors messages.Reserve, Withdraw, Confirm, Lost, Released, HolderSays.
type Message any

// Check asks whether the client can be called now.
type Check struct{ Asker Asker }

// GiveUp says that Asker does not wait any more.
type GiveUp struct{ Asker Asker }

// Forget says that something about the client changed in the store (it was
// deleted): what is known of a free client is worth nothing now.
type Forget struct{}

// LookedUp is what the store says of the client.
type LookedUp struct {
	Serial uint64 // of the [LookUp]
	Exists bool
	Claim  *messages.HeldClaim // nil: not being called
}

// LookUpFailed says that the store could not be read.
type LookUpFailed struct{ Serial uint64 }

// Reminder is what a [Remind] asked for.
type Reminder struct{}

// Effect is something for the shell to do: [LookUp], [Remind], [Reply], or a
// messages.ForUser, which is to be sent.
type Effect any

// LookUp reads the client's claim; [LookedUp] or [LookUpFailed] must follow.
type LookUp struct{ Serial uint64 }

// Remind sends a [Reminder] after that time.
type Remind struct{ After time.Duration }

// Reply answers a question about availability.
type Reply struct {
	To           Asker
	Availability messages.Availability
}
