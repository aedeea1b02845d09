package httpapi

import (
	"crypto/tls"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
)

func login(email, password string) m { return m{"email": email, "password": password} }

func cookieOf(t *testing.T, r reply) *http.Cookie {
	t.Helper()
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		if c.Name == cookieName {
			return c
		}
	}
	return nil
}

func TestLoginVerifyLogout(t *testing.T) {
	w := newWorld(t)
	in := w.do("", "POST", "/api/auth/login", login(" ANA@example.com ", w.password)).is(200).has(
		"user.id", w.ana.ID, "user.email", "ana@example.com", "expires_at", "2026-03-02T09:00:00Z")
	token := in.str("token")
	cookie := cookieOf(t, in)
	if cookie == nil || cookie.Value != token || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.Path != "/" {
		t.Errorf("cookie %+v", cookie)
	}
	w.token["Ana"] = token
	w.do("Ana", "GET", "/api/auth/verify", nil).is(200).has("user.id", w.ana.ID, "user.role", "user")
	gone := cookieOf(t, w.do("Ana", "POST", "/api/auth/logout", nil).is(200))
	if gone == nil || gone.MaxAge != -1 {
		t.Errorf("cookie after logout %+v", gone)
	}
	// At once, although it was in the cache.
	w.do("Ana", "GET", "/api/auth/verify", nil).is(401, messages.CodeUnauthenticated)
	w.do("Dialer", "GET", "/api/auth/verify", nil).is(200).has("user.first_name", "Dialer", "user.role", "service")
	w.do("Dialer", "POST", "/api/auth/logout", nil).is(403, messages.CodeForbidden)
}

func TestLoginRefuses(t *testing.T) {
	w := newWorld(t)
	w.person("Nora", "Nopassword", messages.RoleUser, "")
	disabled := w.person("Dora", "Disabled", messages.RoleUser, w.store.accounts[w.ana.ID].PasswordHash)
	w.store.accounts[disabled.ID] = messages.Account{User: disabled, Disabled: true,
		PasswordHash: w.store.accounts[w.ana.ID].PasswordHash}
	var first []byte
	for _, email := range []string{"ana@example.com", "nobody@example.com", "nora@example.com", "dora@example.com"} {
		password := w.password
		if email == "ana@example.com" {
			password = "wrong"
		}
		got := w.do("", "POST", "/api/auth/login", login(email, password)).is(401, messages.CodeUnauthenticated)
		if first == nil {
			first = got.body
		}
		if string(got.body) != string(first) || cookieOf(t, got) != nil {
			t.Errorf("%s: %s differs from %s", email, got.body, first)
		}
	}
	for _, body := range []any{"", "{", "[]", m{}, m{"email": "a@b"}, m{"password": "x"}, m{"email": 7, "password": "x"},
		login("a\x00@b", "x"), login("a@b", "x\x00"), login(strings.Repeat("a", 255), "x"), login("a@b", strings.Repeat("a", 2000))} {
		w.do("", "POST", "/api/auth/login", body).is(400, messages.CodeBadRequest)
	}
	w.do("", "POST", "/api/auth/login", login("a@b", strings.Repeat("x", maxSignInBody))).is(413, messages.CodeTooLarge)
}

func TestTokensRefused(t *testing.T) {
	w := newWorld(t)
	unknown, _ := auth.NewSession()
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer " + unknown,
		w.token["Ana"], "Bearer " + w.token["Ana"] + "x", "Token " + w.token["Ana"]} {
		r := w.request("", "GET", "/api/auth/verify", nil)
		r.Header.Set("Authorization", header)
		got := w.send(r).is(401, messages.CodeUnauthenticated)
		if got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: no WWW-Authenticate", header)
		}
	}
	w.do("", "GET", "/api/auth/verify", nil, "Authorization", "bearer  "+w.token["Ana"]).is(200)
	w.clock.advance(2 * time.Hour) // sessions of the world last one
	w.do("Ana", "GET", "/api/auth/verify", nil).is(401, messages.CodeUnauthenticated)
}

func TestEveryRouteAsksForAToken(t *testing.T) {
	w := newWorld(t)
	for _, rt := range w.api.table() {
		path := strings.NewReplacer("{id}", w.xenia.String(), "{user_id}", w.ana.ID.String()).Replace(rt.pattern)
		got := w.do("", rt.method, path, nil)
		if protected := rt.access == signedIn || rt.access == adminsOnly; protected != (got.status == 401) {
			t.Errorf("%s %s without a token: %d", rt.method, rt.pattern, got.status)
		}
	}
}

func TestCookieFromOtherSites(t *testing.T) {
	tests := []struct {
		name, method string
		header       []string
		status       int
	}{
		{"same origin", "PUT", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"no browser", "PUT", nil, 200},
		{"another site", "PUT", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"another host of the site", "PUT", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"old browser, our origin", "PUT", []string{"Origin", "http://example.com"}, 200},
		{"old browser, another origin", "PUT", []string{"Origin", "https://evil.example"}, 403},
		{"reading is harmless", "GET", []string{"Sec-Fetch-Site", "cross-site"}, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			r := w.request("", tt.method, statusPath, `{"action":"end_call"}`, tt.header...)
			r.AddCookie(&http.Cookie{Name: cookieName, Value: w.token["Ana"]})
			w.send(r).is(tt.status)
			w.do("Ana", tt.method, statusPath, m{"action": "end_call"}, tt.header...).is(200) // by bearer
		})
	}
}

func TestLoginFromAnotherSiteSetsNoCookie(t *testing.T) {
	w := newWorld(t)
	got := w.do("", "POST", "/api/auth/login", login("ana@example.com", w.password), "Sec-Fetch-Site", "cross-site").is(200)
	if c := cookieOf(t, got); c != nil {
		t.Errorf("cookie %v", c)
	}
}

func TestSecureCookie(t *testing.T) {
	w := newWorld(t)
	r := w.request("", "POST", "/api/auth/login", login("ana@example.com", w.password))
	r.TLS = &tls.ConnectionState{}
	if c := cookieOf(t, w.send(r).is(200)); c == nil || !c.Secure {
		t.Errorf("over TLS: %+v", c)
	}
	w = newWorld(t, func(c *Config) { c.BehindProxy = true })
	if c := cookieOf(t, w.do("", "POST", "/api/auth/login", login("ana@example.com", w.password)).is(200)); c == nil || !c.Secure {
		t.Errorf("behind a proxy: %+v", c)
	}
}

func TestPrincipalsAreCached(t *testing.T) {
	w := newWorld(t)
	for range 50 {
		w.do("Ana", "GET", "/api/auth/verify", nil).is(200)
	}
	if w.store.lookups != 1 {
		t.Errorf("%d lookups for 50 requests", w.store.lookups)
	}
	clear(w.store.tokens) // revoked elsewhere
	w.clock.advance(principalTTL)
	w.do("Ana", "GET", "/api/auth/verify", nil).is(401)
	if w.do("Ana", "GET", "/api/auth/verify", nil).is(401); w.store.lookups != 3 {
		t.Errorf("%d lookups: an unknown token was remembered", w.store.lookups)
	}
	w.do("Ben", "GET", "/api/auth/verify", nil).is(401)
}

// Many requests that miss the cache together ask the store once.
func TestLookupsAreShared(t *testing.T) {
	w := newWorld(t)
	w.store.hold = make(chan struct{})
	var all sync.WaitGroup
	const many = 20
	for range many {
		all.Go(func() { w.do("Ana", "GET", "/api/auth/verify", nil).want(200) })
	}
	waitFor(t, func() bool { return w.api.Admission.InFlight() == many })
	close(w.store.hold)
	all.Wait()
	// Of those that had not got as far as the lookup, one may begin another.
	if w.store.lookups > 2 {
		t.Errorf("%d lookups", w.store.lookups)
	}
}

// A lookup that was under way when the token was revoked must not bring it
// back.
func TestRevocationDuringLookup(t *testing.T) {
	p := newPrincipals()
	now := time.Now()
	digest := [32]byte{1}
	p.revoke(digest, now)
	if p.put(digest, &messages.Principal{}, now.Add(time.Second)) {
		t.Error("the revoked token was remembered")
	}
	if who, known := p.get(digest, now.Add(time.Second), 0); who != nil || !known {
		t.Errorf("%v, %v", who, known)
	}
}

func TestKeyRateLimit(t *testing.T) {
	w := newWorld(t)
	w.key("Slow", messages.RoleService, 2)
	for range 2 {
		w.do("Slow", "GET", "/api/auth/verify", nil).is(200)
	}
	w.do("Slow", "GET", "/api/auth/verify", nil).is(429, messages.CodeRateLimited)
	w.clock.advance(500 * time.Millisecond)
	w.do("Slow", "GET", "/api/auth/verify", nil).is(200)
	w.do("Slow", "GET", "/api/auth/verify", nil).is(429)
	w.key("Rare", messages.RoleService, 0.01)
	w.do("Rare", "GET", "/api/auth/verify", nil).is(200)
	if after := w.do("Rare", "GET", "/api/auth/verify", nil).is(429).header.Get("Retry-After"); after != "100" {
		t.Errorf("Retry-After %s", after)
	}
	for range 200 {
		w.do("Dialer", "GET", "/api/auth/verify", nil).is(200)
	}
}
