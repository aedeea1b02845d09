package httpapi

import (
	"context"
	"time"

	"github.com/dibs-calls/dibs/messages"
	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	profilesKept = 10_000
	profileTTL   = 30 * time.Second
)

// profiles remembers people's names for answers about others than the caller,
// so that a service's request costs no read. Only names are taken from it:
// whether somebody may call is decided by the engine.
type profiles struct {
	kept *lru.Cache[messages.UserID, knownProfile]
}

type knownProfile struct {
	user  messages.User
	until time.Time
}

func newProfiles() *profiles {
	return &profiles{kept: newLRU[messages.UserID, knownProfile](profilesKept)}
}

// profile returns who id is: CodeUserNotFound if nobody.
func (a *API) profile(ctx context.Context, who *messages.Principal, id messages.UserID) (messages.User, error) {
	if id == who.User.ID {
		return who.User, nil
	}
	now := a.Now()
	if known, ok := a.profiles.kept.Get(id); ok && now.Before(known.until) {
		return known.user, nil
	}
	account, err := a.Store.UserByID(ctx, id)
	if err != nil {
		return messages.User{}, asRead(err)
	}
	a.profiles.kept.Add(id, knownProfile{account.User, now.Add(profileTTL)})
	return account.User, nil
}
