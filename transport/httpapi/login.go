package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

type loginRequest struct {
	Email    string `json:"email"`
	Password string `json:"password"`
}

type loginAnswer struct {
	User      messages.User `json:"user"`
	Token     string        `json:"token"`
	ExpiresAt time.Time     `json:"expires_at"`
}

type userAnswer struct {
	User messages.User `json:"user"`
}

type messageAnswer struct {
	Message string `json:"message"`
}

// login answers the same, after the same time, to an unknown address, a
// disabled account, one without a password and a wrong password.
func (a *API) login(ctx context.Context, x *exchange) error {
	var in loginRequest
	if err := x.decode(&in); err != nil {
		return err
	}
	email, err := text("email", in.Email, messages.MaxEmail)
	if err != nil {
		return err
	}
	if _, err := text("password", in.Password, auth.MaxPassword); err != nil {
		return err
	}
	if email == "" || in.Password == "" {
		return badRequest("email and password are required.")
	}
	try, err := a.signIns.begin(strings.ToLower(email), a.addressOf(x.r), a.Now())
	if err != nil {
		return err
	}
	result := notTried
	defer func() { try.finish(result, a.Now()) }()

	account, ok, err := a.checkPassword(ctx, email, in.Password)
	if err != nil {
		return err
	}
	if !ok {
		result = wrong
		return &problem{Code: messages.CodeUnauthenticated, Sentence: "The e-mail address or the password is wrong."}
	}
	result = succeeded
	return a.beginSession(ctx, x, account.User)
}

func (a *API) checkPassword(ctx context.Context, email, password string) (messages.Account, bool, error) {
	account, err := a.Store.UserByEmail(ctx, email)
	if err != nil && messages.CodeOf(err) != messages.CodeUserNotFound {
		return account, false, asRead(err)
	}
	hash := account.PasswordHash
	if err != nil || account.Disabled {
		hash = "" // takes as long, matches nothing
	}
	ok, err := a.Passwords.Verify(ctx, hash, password)
	return account, ok, err
}

func (a *API) beginSession(ctx context.Context, x *exchange, user messages.User) error {
	token, digest := auth.NewSession()
	expires := a.Now().Add(a.SessionLifetime).UTC().Truncate(time.Second)
	if err := a.Store.AddSession(ctx, digest, user.ID, expires); err != nil {
		return err
	}
	// Another site could sign its visitor in here under an account of its own.
	// It gets no cookie set.
	if a.csrf.Check(x.r) == nil {
		a.setCookie(x, token, expires)
	}
	return x.respond(http.StatusOK, loginAnswer{user, token, expires})
}

func (a *API) verify(_ context.Context, x *exchange) error {
	return x.respond(http.StatusOK, userAnswer{x.who.User})
}

func (a *API) logout(ctx context.Context, x *exchange) error {
	if x.who.KeyID != uuid.Nil {
		return forbidden("An API key cannot sign out. An administrator can revoke it.")
	}
	if err := a.Store.RevokeSession(ctx, x.digest); err != nil {
		return err
	}
	a.principals.revoke(x.digest, a.Now())
	a.clearCookie(x)
	return x.respond(http.StatusOK, messageAnswer{"Signed out"})
}
