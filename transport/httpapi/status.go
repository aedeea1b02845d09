package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
	"github.com/google/uuid"
)

// changeStatus starts, ends or renews a call.
func (a *API) changeStatus(ctx context.Context, x *exchange) error {
	in := x.change
	if err := oneOf("action", in.Action, wire.ActionStart, wire.ActionEnd, wire.ActionRenew); err != nil {
		return err
	}
	id, err := a.actingForChange(ctx, x.who, in)
	if err != nil {
		return err
	}
	key, err := x.idempotencyKey()
	if err != nil {
		return err
	}
	user := messages.User{ID: id} // the desk looks up the rest
	if id == x.who.User.ID {
		user = x.who.User
	}
	var answer any
	switch in.Action {
	case wire.ActionStart:
		answer, err = a.desk.Start(ctx, user, in, key)
	case wire.ActionEnd:
		answer, err = a.desk.End(ctx, user, in, key)
	default:
		answer, err = a.desk.Renew(ctx, user, in, key)
	}
	if err != nil {
		return err
	}
	return x.respond(http.StatusOK, answer)
}

// actingForChange is actingFor where the user may also be named by address.
// Whether somebody has an address is told only to those who may act for others.
func (a *API) actingForChange(ctx context.Context, who *messages.Principal, in *wire.Change) (messages.UserID, error) {
	switch {
	case in.UserID != "" || in.UserEmail == "":
		return actingFor(who, in.UserID)
	case who.KeyID == uuid.Nil && strings.EqualFold(in.UserEmail, who.User.Email):
		return who.User.ID, nil
	case !mayActForOthers(who):
		return messages.UserID{}, forbidden("You can only do this for yourself.")
	}
	return a.desk.UserByEmail(ctx, in.UserEmail)
}

func newID() uuid.UUID { return wire.NewID() }

func deadlineOf(ctx context.Context) time.Time { return wire.DeadlineOf(ctx) }
