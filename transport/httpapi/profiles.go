package httpapi

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
)

// profile returns who id is: CodeUserNotFound if nobody.
func (a *API) profile(ctx context.Context, who *messages.Principal, id messages.UserID) (messages.User, error) {
	if id == who.User.ID {
		return who.User, nil
	}
	return a.desk.Profile(ctx, id)
}
