package wire

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// Calls is the part of the engine that is asked here. Every method returns by
// the time ctx ends or shortly after; what it answers is on stable storage. All
// are safe for concurrent use.
type Calls interface {
	StartCall(ctx context.Context, cmd messages.StartCall) messages.Answer
	EndCall(ctx context.Context, cmd messages.EndCall) messages.Answer
	RenewCall(ctx context.Context, cmd messages.RenewCall) messages.Answer
	// Availability answers from the claim itself: CodeClientNotFound for an
	// unknown client.
	Availability(ctx context.Context, client messages.ClientID) messages.Availability
}

// Desk serves changes of calls and questions about clients. It decides nothing
// about who may ask. It is safe for concurrent use.
type Desk struct {
	calls     Calls
	profiles  *profiles
	directory Directory // nil: none, see SetDirectory
	region    string
}

// NewDesk makes a desk. now is the clock.
func NewDesk(calls Calls, people People, now func() time.Time) *Desk {
	return &Desk{calls: calls, profiles: newProfiles(people, now)}
}

// Profile returns who somebody is; CodeUserNotFound if nobody. It may be half a
// minute old.
func (d *Desk) Profile(ctx context.Context, id messages.UserID) (messages.User, error) {
	return d.profiles.get(ctx, id)
}

// Start starts the call that in describes for user, of whom only the id need be
// known.
func (d *Desk) Start(ctx context.Context, user messages.User, in *Change, key *messages.Key) (*StartAnswer, error) {
	cmd, err := in.start()
	if err != nil {
		return nil, err
	}
	if user, err = d.profiles.complete(ctx, user); err != nil {
		return nil, err
	}
	if cmd.Client.IsZero() {
		if cmd.Client, err = d.clientByPhone(ctx, user.ID, in.ClientPhone); err != nil {
			return nil, err
		}
	}
	cmd.User, cmd.Call.UUID, cmd.Key, cmd.Deadline = user.ID, NewID(), key, DeadlineOf(ctx)
	answer := d.calls.StartCall(ctx, cmd)
	switch {
	case answer.Code != messages.OK:
		return nil, Refused(answer)
	case answer.Call == nil:
		return nil, Internal("a start was acknowledged without its call")
	}
	return &StartAnswer{Calling(user, answer.Call), answer.Call, "Call started successfully"}, nil
}

// End ends the call that in names, or whichever the user is on.
func (d *Desk) End(ctx context.Context, user messages.User, in *Change, key *messages.Key) (*EndAnswer, error) {
	cmd, err := in.end()
	if err != nil {
		return nil, err
	}
	if user, err = d.profiles.complete(ctx, user); err != nil {
		return nil, err
	}
	cmd.User, cmd.Key, cmd.Deadline = user.ID, key, DeadlineOf(ctx)
	answer := d.calls.EndCall(ctx, cmd)
	if answer.Code != messages.OK {
		return nil, Refused(answer)
	}
	message := "Call ended successfully"
	if answer.Call != nil {
		message = "That call is over; another call is in progress"
	}
	return &EndAnswer{Calling(user, answer.Call), answer.Ended, message}, nil
}

// Renew renews the lease of the call that in names.
func (d *Desk) Renew(ctx context.Context, user messages.User, in *Change, key *messages.Key) (*RenewAnswer, error) {
	cmd, err := in.renew()
	if err != nil {
		return nil, err
	}
	if user, err = d.profiles.complete(ctx, user); err != nil {
		return nil, err
	}
	cmd.User, cmd.Key, cmd.Deadline = user.ID, key, DeadlineOf(ctx)
	answer := d.calls.RenewCall(ctx, cmd)
	switch {
	case answer.Code != messages.OK:
		return nil, Refused(answer)
	case answer.Call == nil:
		return nil, Internal("a renewal was acknowledged without its call")
	}
	return &RenewAnswer{answer.Call, answer.Call.LeaseExpiresAt, "Call renewed successfully"}, nil
}

// Availability says whether a client can be called.
func (d *Desk) Availability(ctx context.Context, client messages.ClientID) (*AvailabilityAnswer, error) {
	found := d.calls.Availability(ctx, client)
	if found.Code != messages.OK {
		return nil, &Problem{Code: found.Code}
	}
	return &AvailabilityAnswer{found.Caller == nil, found.Caller}, nil
}

// NewID is a UUIDv7: it sorts by time, which keeps indexes compact. It cannot
// fail, because crypto/rand cannot.
func NewID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// DeadlineOf is when the caller stops waiting. Every request has a timeout.
func DeadlineOf(ctx context.Context) time.Time {
	deadline, _ := ctx.Deadline()
	return deadline
}
