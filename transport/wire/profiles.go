package wire

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

// People reads accounts, disabled ones too. Errors: CodeUserNotFound,
// CodeUnavailable.
type People interface {
	UserByID(ctx context.Context, id messages.UserID) (messages.Account, error)
}

// profiles remembers people's names for answers about others than the caller,
// so that a service's request costs no read. Only names are taken from it:
// whether somebody may call is decided by the engine.
type profiles struct {
	from People
	now  func() time.Time
	kept *lru.Cache[messages.UserID, knownProfile]
}

type knownProfile struct {
	user  messages.User
	until time.Time
}

func newProfiles(from People, now func() time.Time) *profiles {
	kept, err := lru.New[messages.UserID, knownProfile](profilesKept)
	if err != nil {
		panic(err) // the only error is a size below one
	}
	return &profiles{from: from, now: now, kept: kept}
}

// complete returns user, looked up if only the id is known.
func (p *profiles) complete(ctx context.Context, user messages.User) (messages.User, error) {
	if user.Role != "" {
		return user, nil
	}
	return p.get(ctx, user.ID)
}

func (p *profiles) get(ctx context.Context, id messages.UserID) (messages.User, error) {
	now := p.now()
	if known, ok := p.kept.Get(id); ok && now.Before(known.until) {
		return known.user, nil
	}
	account, err := p.from.UserByID(ctx, id)
	if err != nil {
		return messages.User{}, AsRead(err)
	}
	p.kept.Add(id, knownProfile{account.User, now.Add(profileTTL)})
	return account.User, nil
}
