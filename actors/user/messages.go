package user

import (
	"time"

	"github.com/dibs-calls/dibs/messages"
)

// Asker is whoever waits for the answer to a command. The machine only hands
// it back; nil means that nobody waits.
type Asker any

// Message is what a user actor can be told: a *[Command], [GiveUp], [Again], [Leave], what the
// store said ([Loaded], [LoadFailed], [Written], [Sought], [SeekFailed]), and from client actors
// messages.AskHolder, messages.Reserved, messages.Refused.
type Message any

// Command is a command for this user with whoever waits for its answer. Do is
// one of [StartAgain], messages.StartCall, EndCall, SaveLog, RenewCall, ExpireCall,
// ReportStarted, ReportEnded. Nobody changes it any more once it was sent.
type Command struct {
	Asker Asker
	Do    any
}

// Again says that the client actor that was asked to reserve for Call may not have heard
// it, or may live elsewhere now.
type Again struct{ Call messages.CallID }

// Leave says that this actor is to live elsewhere from now on: what was not begun is
// given back with Answer, what is being committed goes on.
type Leave struct{ Answer messages.Answer }

// GiveUp says that Asker does not wait any more. What is being committed goes
// on; what was not begun is dropped.
type GiveUp struct{ Asker Asker }

// Loaded is the user's claim as the store has it, nil if there is none.
type Loaded struct{ Claim *messages.HeldClaim }

// LoadFailed says that the store could not be read.
type LoadFailed struct{}

// Written is what became of the write that the last [Commit] asked for. Nobody changes
// the outcome any more.
type Written struct{ Outcome *messages.Outcome }

// Effect is something for the shell to do: [Load], [Seek], [Commit], [Reply], or a
// messages.ForClient, which is to be sent.
type Effect any

// Load reads the user's claim; [Loaded] or [LoadFailed] must follow.
type Load struct{}

// Commit hands a write to the journal, which must not change it; [Written] must
// follow.
type Commit struct{ Write *messages.Write }

// Reply answers a command.
type Reply struct {
	To     Asker
	Answer messages.Answer
	// Stored says that the answer follows from what became of this very command at
	// the store, which may be unknown, and not from memory.
	Stored bool
}

// deadline returns when the command's caller stops waiting; zero is never.
func (c Command) deadline() time.Time {
	switch do := c.Do.(type) {
	case messages.StartCall:
		return do.Deadline
	case StartAgain:
		return do.Deadline
	case messages.EndCall:
		return do.Deadline
	case messages.SaveLog:
		return do.Deadline
	case messages.RenewCall:
		return do.Deadline
	}
	return time.Time{}
}
