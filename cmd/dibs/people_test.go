package main

import (
	"context"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/auth"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// store opens the store of a shell to look into it.
func (sh *shell) store() persistence.Store {
	sh.t.Helper()
	store, err := openStore(sh.t.Context(), storeConfig{Data: sh.env["DIBS_DATA"], DatabaseURL: sh.env["DIBS_DATABASE_URL"]})
	if err != nil {
		sh.t.Fatal(err)
	}
	sh.t.Cleanup(func() {
		if err := store.Close(); err != nil {
			sh.t.Error(err)
		}
	})
	return store
}

func (sh *shell) signsIn(store persistence.People, email, password string) bool {
	sh.t.Helper()
	passwords, err := auth.NewPasswords(auth.DefaultParams(), auth.DefaultMemoryBudget)
	if err != nil {
		sh.t.Fatal(err)
	}
	account, err := store.UserByEmail(context.Background(), email)
	if err != nil {
		sh.t.Fatal(err)
	}
	ok, err := passwords.Verify(context.Background(), account.PasswordHash, password)
	if err != nil {
		sh.t.Fatal(err)
	}
	return ok && !account.Disabled
}

func TestUsers(t *testing.T) {
	stores(t, func(t *testing.T, sh *shell) {
		sh.stdin = strings.NewReader("first-password\r\nnot read")
		r := sh.want(exitOK, "users", "add", "ana@example.com", "--first-name", "Ana", "--last-name", "Alvarez", "--role", "admin", "--password-stdin")
		has(t, r.stdout, "added admin ana@example.com")
		sh.want(exitFailed, "users", "add", "ANA@example.com", "--no-password")
		sh.want(exitOK, "users", "add", "ben@example.com", "--no-password")

		store := sh.store()
		if !sh.signsIn(store, "ana@example.com", "first-password") || sh.signsIn(store, "ben@example.com", "") {
			t.Error("the password of Ana, or none of Ben, is not what was given")
		}
		sh.stdin = strings.NewReader("short\n")
		has(t, sh.want(exitFailed, "users", "passwd", "ben@example.com", "--password-stdin").stderr, "at least 8")
		sh.stdin = strings.NewReader("second-password")
		sh.want(exitOK, "users", "passwd", "Ben@example.com", "--password-stdin")
		if !sh.signsIn(store, "ben@example.com", "second-password") {
			t.Error("Ben's password was not set")
		}
		has(t, sh.want(exitFailed, "users", "disable", "nobody@example.com", "ana@example.com").stderr, "no user nobody@example.com")
		has(t, sh.want(exitOK, "users", "list").stdout, "Ana Alvarez", "disabled", "active")
		list := sh.want(exitOK, "users", "list", "--json").stdout
		has(t, list, `"email":"ana@example.com"`)
		if strings.Contains(list, "argon2") || strings.Count(list, "\n") != 2 {
			t.Errorf("list: %s", list)
		}
		checkAudit(t, store, "user.disabled")

		sh.want(exitOK, "users", "disable", "ben@example.com")
		ben, err := store.UserByEmail(t.Context(), "ben@example.com")
		if err != nil {
			t.Fatal(err)
		}
		newest := sh.want(exitOK, "audit", "list", "--limit", "1", "--json").stdout
		has(t, newest, `"by":"cli:tester"`, `"action":"user.disabled"`, `"subject":"user:`+ben.ID.String()+`"`)
		if strings.Count(newest, "\n") != 1 {
			t.Errorf("more than the newest: %s", newest)
		}
		table := sh.want(exitOK, "audit", "list").stdout
		if strings.Count(table, "user.disabled") != 2 {
			t.Errorf("audit: %s", table)
		}
		sh.want(exitUsage, "audit", "list", "--limit", "0")
		checkAudit(t, store, "user.added", "user.password_set")
		sh.enables(store)
	})
}

// enables takes back that Ana and Ben were disabled.
func (sh *shell) enables(store persistence.Store) {
	sh.t.Helper()
	has(sh.t, sh.want(exitFailed, "users", "enable", "nobody@example.com", "ana@example.com").stderr, "no user nobody@example.com")
	has(sh.t, sh.want(exitOK, "users", "enable", "Ben@example.com", "ana@example.com").stdout, "enabled ben@example.com", "enabled ana@example.com")
	sh.want(exitUsage, "users", "enable")
	if !sh.signsIn(store, "ana@example.com", "first-password") || !sh.signsIn(store, "ben@example.com", "second-password") {
		sh.t.Error("they cannot sign in again with the passwords that they had")
	}
	if table := sh.want(exitOK, "audit", "list").stdout; strings.Count(table, "user.enabled") != 2 {
		sh.t.Errorf("audit: %s", table)
	}
}

func checkAudit(t *testing.T, store persistence.Upkeep, actions ...string) {
	t.Helper()
	trail, err := store.AuditTrail(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range trail {
		if a.By == "cli:tester" {
			got = append(got, a.Action)
		}
	}
	has(t, strings.Join(got, " "), actions...)
}

func TestUsersImport(t *testing.T) {
	stores(t, func(t *testing.T, sh *shell) {
		sh.want(exitOK, "users", "add", "old@example.com", "--no-password")
		file := sh.file("email,first_name,last_name,role,password,shoe size\n" +
			"ana@example.com,Ana,Alvarez,admin,anas-password,38\n" +
			"OLD@example.com,Is,There,user,old-password,\n" +
			"ben@example.com,Ben,Brandt,,,\n" +
			"short@example.com,S,P,user,short,\n" +
			"ana@EXAMPLE.com,Ana,Again,user,,\n" +
			"nowhere,X,Y,user,,\n")
		r := sh.want(exitPartly, "users", "import", file, "--dry-run")
		has(t, r.stdout, "6 rows: 2 would be added", "1 in the store already", "1 twice in the file", "2 bad")
		r = sh.want(exitPartly, "users", "import", file)
		has(t, r.stdout, "6 rows: 2 added", "1 in the store already", "1 twice in the file", "2 bad")
		has(t, r.stderr, "line 5: A password has at least 8", "line 6: ana@EXAMPLE.com is on line 2", "line 7: ", "shoe size")
		store := sh.store()
		if !sh.signsIn(store, "ana@example.com", "anas-password") || sh.signsIn(store, "ben@example.com", "") {
			t.Error("passwords were not set as the file says")
		}
		account, err := store.UserByEmail(t.Context(), "ana@example.com")
		if err != nil || account.Role != messages.RoleAdmin || account.LastName != "Alvarez" {
			t.Errorf("Ana is %+v, %v", account.User, err)
		}
		has(t, sh.want(exitPartly, "users", "import", file).stdout, " 0 added, 3 in the store already")
		wantTrail(t, store, "users.imported 2 of 2–4")
	})
}

func TestImportOfOneBadLine(t *testing.T) {
	sh := newShell(t)
	has(t, sh.want(exitPartly, "users", "import", sh.file("email\nana@example.com\nnowhere\n")).stderr, "1 bad line is named above")
}

// racing lets somebody else add a person just before the import does.
type racing struct {
	persistence.Store
	email string
	races int
}

func (r *racing) AddUsers(ctx context.Context, users []messages.NewUser, audit ...messages.Audit) ([]messages.User, error) {
	if r.races > 0 {
		r.races--
		other := messages.NewUser{User: messages.User{Email: r.email, Role: messages.RoleUser}}
		if _, err := r.Store.AddUsers(ctx, []messages.NewUser{other}); err != nil {
			return nil, err
		}
	}
	return r.Store.AddUsers(ctx, users, audit...)
}

func TestUsersImportWhileOthersAdd(t *testing.T) {
	sh := newShell(t)
	sh.open = func(ctx context.Context, cfg storeConfig) (persistence.Store, error) {
		store, err := openStore(ctx, cfg)
		return &racing{store, "ben@example.com", 1}, err
	}
	r := sh.want(exitOK, "users", "import", sh.file("email\nana@example.com\nben@example.com\ncleo@example.com\n"))
	has(t, r.stdout, "3 rows: 2 added, 1 in the store already")
}

func TestTokens(t *testing.T) {
	stores(t, func(t *testing.T, sh *shell) {
		r := sh.want(exitOK, "token", "create", "--role", "service", "--name", "dialer-1", "--rate-limit", "50")
		key := strings.TrimSuffix(r.stdout, "\n")
		digest, ok := auth.Digest(key)
		if !ok || strings.ContainsAny(key, " \n") {
			t.Fatalf("standard output is not the key alone: %q", r.stdout)
		}
		if strings.Contains(r.stderr, key) {
			t.Error("the key is on standard error, too")
		}
		store := sh.store()
		p, err := store.PrincipalByToken(t.Context(), digest)
		if err != nil || p.User.Role != messages.RoleService || p.RateLimit != 50 {
			t.Fatalf("the key stands for %+v, %v", p, err)
		}
		has(t, sh.want(exitOK, "token", "list").stdout, p.KeyID.String(), "dialer-1", "50/s")
		sh.want(exitOK, "token", "revoke", p.KeyID.String())
		if _, err := store.PrincipalByToken(t.Context(), digest); messages.CodeOf(err) != messages.CodeUnauthenticated {
			t.Errorf("revoked: %v", err)
		}
		has(t, sh.want(exitFailed, "token", "revoke", "00000000-0000-4000-8000-000000000000").stderr, "there is no key")
		checkAudit(t, store, "api_key.created", "api_key.revoked")
	})
}
