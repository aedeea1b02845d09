// Package rivals keeps two people from calling the same client in the ways in
// which people do it without dibs. Each way does what somebody would write who
// knows the store well, and is given the benefit of the doubt: what a process can
// remember instead of asking for it, it remembers.
//
// Every write that is acknowledged is on stable storage, as far as the store's
// configuration can say so; who starts the store sees to that.
package rivals

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// Rival is one way. All methods are safe for concurrent use.
type Rival interface {
	// Start claims client for user.
	Start(ctx context.Context, user, client uuid.UUID) (Result, error)
	// End ends the call that user is on; it is no error if there is none.
	End(ctx context.Context, user uuid.UUID) error
	// Holder says who is calling client; nobody: uuid.Nil.
	Holder(ctx context.Context, client uuid.UUID) (uuid.UUID, error)
	Close()
}

// Result is what came of a start.
type Result struct {
	Outcome Outcome
	Holder  uuid.UUID // with ClientBusy: who is calling; uuid.Nil if they just stopped
}

// Outcome is a kind of result.
type Outcome uint8

// The outcomes.
const (
	Granted Outcome = iota
	ClientBusy
	UserBusy
)

// People are the users and clients of a run.
type People struct {
	Users, Clients []uuid.UUID
}

// NewPeople makes up people.
func NewPeople(users, clients int) People {
	var p People
	for range users {
		p.Users = append(p.Users, uuid.New())
	}
	for range clients {
		p.Clients = append(p.Clients, uuid.New())
	}
	return p
}

// UserName is the first name of the n-th user.
func UserName(n int) string { return fmt.Sprintf("User %d", n) }

// ClientName is the name of the n-th client.
func ClientName(n int) string { return fmt.Sprintf("Client %d", n) }
