package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

const cookieName = "dibs_session"

// authenticate finds out who is asking, and whether they may ask for this.
func (a *API) authenticate(x *exchange) error {
	token, byCookie := tokenOf(x.r)
	digest, ok := auth.Digest(token)
	if !ok {
		return unauthenticated(token)
	}
	// A browser sends the cookie along with what other sites make it ask for.
	// A bearer token is sent only by who was given it.
	if byCookie && a.csrf.Check(x.r) != nil {
		return forbidden("This request came from another site.")
	}
	who, err := a.principal(x.r.Context(), digest)
	if err != nil {
		if p := problemOf(asRead(err), x.r.Method); p.Code != messages.CodeUnauthenticated {
			return p
		}
		return unauthenticated(token)
	}
	x.who, x.digest = who, digest
	if x.route.access == adminsOnly && who.User.Role != messages.RoleAdmin {
		return forbidden("Only an administrator may do this.")
	}
	if who.RateLimit > 0 {
		if wait, ok := a.keyRates.allow(who, a.Now()); !ok {
			return &problem{Code: messages.CodeRateLimited, RetryAfter: wait}
		}
	}
	return nil
}

func unauthenticated(token string) *problem {
	p := &problem{Code: messages.CodeUnauthenticated}
	if token != "" {
		p.Sentence = "Your session is not valid or has ended. Please sign in again."
	}
	return p
}

// tokenOf finds the token of a request. The header wins: whoever sets it means
// it, while a cookie comes by itself.
func tokenOf(r *http.Request) (token string, byCookie bool) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", false
		}
		return strings.TrimSpace(token), false
	}
	if cookie, err := r.Cookie(cookieName); err == nil {
		return cookie.Value, true
	}
	return "", false
}

// principal is who the token stands for, from the cache or the store.
func (a *API) principal(ctx context.Context, digest [32]byte) (*messages.Principal, error) {
	grace := time.Duration(0)
	reachable := a.Reachable()
	if !reachable {
		grace = principalStaleTTL
	}
	if who, known := a.principals.get(digest, a.Now(), grace); known {
		if who == nil {
			return nil, &problem{Code: messages.CodeUnauthenticated}
		}
		return who, nil
	}
	if !reachable {
		return nil, &problem{Code: messages.CodeUnavailable}
	}
	return a.askStore(ctx, digest)
}

// askStore is one lookup for all requests that miss the cache together. It goes
// on when the request that began it is given up, because it is everybody's, and
// keeps its place in the engine until it ends.
func (a *API) askStore(ctx context.Context, digest [32]byte) (*messages.Principal, error) {
	pass, ok := a.Admission.Enter(admission.Part, 0)
	if !ok {
		return nil, a.busy()
	}
	defer a.Admission.Leave(pass, false)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.RequestTimeout)
	defer cancel()
	found, err, _ := a.lookups.Do(string(digest[:]), func() (any, error) { return a.lookUp(ctx, digest) })
	if err != nil {
		return nil, err
	}
	return found.(*messages.Principal), nil
}

func (a *API) lookUp(ctx context.Context, digest [32]byte) (who *messages.Principal, err error) {
	// The requests that wait for this one must not panic with it.
	defer func() {
		if v := recover(); v != nil {
			err = internal("panic while looking up a token: %v", v)
		}
	}()
	p, err := a.Store.PrincipalByToken(ctx, digest)
	if err != nil {
		return nil, err
	}
	if !a.principals.put(digest, &p, a.Now()) {
		return nil, &problem{Code: messages.CodeUnauthenticated}
	}
	return &p, nil
}

// actingFor is whom a request is about: the caller, or the user_id that an
// administrator or a service names.
func actingFor(who *messages.Principal, named string) (messages.UserID, error) {
	if named == "" {
		if who.KeyID != uuid.Nil {
			return messages.UserID{}, badRequest("user_id is required: an API key acts for the user that it names.")
		}
		return who.User.ID, nil
	}
	id, err := parseID("user_id", named)
	if err != nil {
		return messages.UserID{}, err
	}
	user := messages.UserID{UUID: id}
	if user != who.User.ID && !mayActForOthers(who) {
		return messages.UserID{}, forbidden("You can only do this for yourself.")
	}
	return user, nil
}

func mayActForOthers(who *messages.Principal) bool {
	return who.User.Role == messages.RoleAdmin || who.User.Role == messages.RoleService
}

// secure reports whether the browser came over TLS.
func (a *API) secure(r *http.Request) bool { return r.TLS != nil || a.BehindProxy }

// setCookie lets the browser keep the token. Nothing but requests can read it,
// and other sites' forms and frames do not send it along.
func (a *API) setCookie(x *exchange, token string, expires time.Time) {
	http.SetCookie(x.w, &http.Cookie{Name: cookieName, Value: token, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: a.secure(x.r)})
}

func (a *API) clearCookie(x *exchange) {
	http.SetCookie(x.w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: a.secure(x.r)})
}
