package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/persistence"
)

// served notes what the server was started with, and stops at once.
type served struct {
	starts int
	cfg    serveConfig
	addr   string
}

func (s *served) serve(_ context.Context, cfg serveConfig, ln net.Listener, _ persistence.Store, _ *slog.Logger, ready func(string)) error {
	s.starts++
	s.cfg, s.addr = cfg, ln.Addr().String()
	ready("http://127.0.0.1:8080")
	return nil
}

func serveShell(t *testing.T, sh *shell) (*shell, *served) {
	t.Helper()
	s := &served{}
	sh.serve = s.serve
	return sh, s
}

func TestFirstStart(t *testing.T) {
	stores(t, func(t *testing.T, sh *shell) {
		sh, s := serveShell(t, sh)
		first := sh.want(exitOK, "serve", "--admin-email", "boss@example.com")
		m := regexp.MustCompile(`password +(\S+)\n`).FindStringSubmatch(first.stdout)
		if m == nil || strings.Count(first.stdout, m[1]) != 1 || strings.Contains(first.stderr, m[1]) {
			t.Fatalf("the password is not told once: %s", first.stdout)
		}
		store := sh.store()
		if !sh.signsIn(store, "boss@example.com", m[1]) {
			t.Error("the password does not sign in")
		}
		if a, err := store.UserByEmail(t.Context(), "boss@example.com"); err != nil || a.Role != messages.RoleAdmin {
			t.Errorf("the administrator is %+v, %v", a.User, err)
		}
		again := sh.want(exitOK, "serve")
		if strings.Contains(again.stdout, "password") || s.starts != 2 {
			t.Errorf("second start: %s", again.stdout)
		}
		has(t, sh.want(exitOK, "users", "list").stdout, "boss@example.com")
	})
}

func TestDemo(t *testing.T) {
	stores(t, func(t *testing.T, sh *shell) {
		sh, s := serveShell(t, sh)
		r := sh.want(exitOK, "serve", "--demo")
		has(t, r.stdout, "http://127.0.0.1:8080", "curl", "demo-password", "ana@example.com")
		once := sh.want(exitOK, "clients", "export").stdout
		sh.want(exitOK, "serve", "--demo")
		if twice := sh.want(exitOK, "clients", "export").stdout; twice != once {
			t.Error("a second start changed the clients")
		}
		checkDemo(t, sh, sh.store())

		// Later, without --demo, the accounts are still there.
		for _, args := range []string{"--behind-proxy", "--behind-proxy --listen :0"} {
			has(t, sh.want(exitRefused, append([]string{"serve"}, strings.Fields(args)...)...).stderr, "users disable admin@example.com ana@example.com")
		}
		sh.want(exitOK, "serve") // on this machine they may stay
		sh.want(exitOK, "users", "disable", "admin@example.com", "ana@example.com", "ben@example.com", "cleo@example.com")
		has(t, sh.want(exitRefused, "serve", "--behind-proxy").stderr, "dan@example.com")
		sh.stdin = strings.NewReader("better-password")
		sh.want(exitOK, "users", "passwd", "dan@example.com", "--password-stdin")
		sh.want(exitOK, "serve", "--behind-proxy", "--listen", ":0")
		if s.starts != 4 || !s.cfg.BehindProxy {
			t.Errorf("started %d times, last with %+v", s.starts, s.cfg)
		}
	})
}

func checkDemo(t *testing.T, sh *shell, store persistence.Store) {
	t.Helper()
	accounts, err := store.ListUsers(t.Context())
	if err != nil || len(accounts) != 5 {
		t.Fatalf("%d people, %v", len(accounts), err)
	}
	for _, a := range accounts {
		if isAdmin := a.Role == messages.RoleAdmin; isAdmin != (a.Email == "admin@example.com") || !sh.signsIn(store, a.Email, "demo-password") {
			t.Errorf("%+v", a.User)
		}
	}
	clients, total, err := store.ListClients(t.Context(), messages.ClientQuery{Page: 1, Limit: 1000})
	if err != nil || total != 200 {
		t.Fatalf("%d clients, %v", total, err)
	}
	names, phones := make(map[string]bool), make(map[string]bool)
	fictitious := regexp.MustCompile(`^(\+120255501\d\d|\+442079460\d\d\d)$`)
	for _, c := range clients {
		names[c.Name], phones[c.Phone] = true, true
		if !fictitious.MatchString(c.Phone) {
			t.Errorf("%s could be somebody's number", c.Phone)
		}
	}
	if len(names) != 200 || len(phones) != 200 {
		t.Errorf("%d names, %d numbers", len(names), len(phones))
	}
	// What the demo prints, and people write down, stays true.
	if id := demoClient(0).ID.String(); id != "ec20a49d-65cd-5657-96d0-37cdcd3c397f" {
		t.Errorf("the first client's id is %s", id)
	}
}

// TestDemoIsNotForPeoplesOwnStore: a typing error does not put 200 made-up
// clients among true ones.
func TestDemoIsNotForPeoplesOwnStore(t *testing.T) {
	sh, s := serveShell(t, newShell(t))
	sh.want(exitOK, "users", "add", "boss@acme.example", "--no-password")
	has(t, sh.want(exitRefused, "serve", "--demo").stderr, "folder of its own")
	if s.starts != 0 {
		t.Error("it started")
	}
}

func TestOneServerAFolder(t *testing.T) {
	sh := newShell(t)
	inner := result{}
	sh.serve = func(ctx context.Context, _ serveConfig, _ net.Listener, _ persistence.Store, _ *slog.Logger, _ func(string)) error {
		inner = sh.runCtx(ctx, "serve")
		return nil
	}
	sh.want(exitOK, "serve")
	if inner.code != exitUnavailable || !strings.Contains(inner.stderr, "another server runs") {
		t.Errorf("the second server: %+v", inner)
	}
}

// TestRunningServersSchemaIsLeftAlone: a newer server that is kept out of the
// folder has not brought the schema up to date under the one inside.
func TestRunningServersSchemaIsLeftAlone(t *testing.T) {
	sh := newShell(t)
	opened := 0
	sh.open = func(ctx context.Context, cfg storeConfig) (persistence.Store, error) {
		opened++
		return openStore(ctx, cfg)
	}
	sh.serve = func(ctx context.Context, _ serveConfig, _ net.Listener, _ persistence.Store, _ *slog.Logger, _ func(string)) error {
		if r := sh.runCtx(ctx, "serve"); r.code != exitUnavailable {
			t.Errorf("the second server: %+v", r)
		}
		return nil
	}
	sh.want(exitOK, "serve")
	if opened != 1 {
		t.Errorf("the store was opened %d times", opened)
	}
}

// TestAddressInUse: the password of an administrator is not told by a start
// that fails, because the next one would not tell it again.
func TestAddressInUse(t *testing.T) {
	sh, s := serveShell(t, newShell(t))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	failed := sh.want(exitFailed, "serve", "--listen", l.Addr().String())
	has(t, failed.stderr, "already in use", "--listen", "DIBS_LISTEN=127.0.0.1:8081")
	if strings.Contains(failed.stdout, "password") || s.starts != 0 {
		t.Errorf("%d starts: %s", s.starts, failed.stdout)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	has(t, sh.want(exitOK, "serve").stdout, "password")
}

// TestAddressIsTakenOnce: from before the administrator is made until the
// server has it, the address is ours, and afterwards free again.
func TestAddressIsTakenOnce(t *testing.T) {
	sh, s := serveShell(t, newShell(t))
	var early net.Listener
	sh.open = func(ctx context.Context, cfg storeConfig) (persistence.Store, error) {
		ln, err := net.Listen("tcp", sh.env["DIBS_LISTEN"])
		if err == nil {
			early = ln
			_ = ln.Close()
		}
		return openStore(ctx, cfg)
	}
	sh.env["DIBS_LISTEN"] = harness.FreeAddr(t)
	sh.want(exitOK, "serve")
	if early != nil || s.addr != sh.env["DIBS_LISTEN"] {
		t.Errorf("somebody else could take %s; the server has %s", sh.env["DIBS_LISTEN"], s.addr)
	}
	ln, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()

	sh.open = func(context.Context, storeConfig) (persistence.Store, error) { return nil, errors.New("no store") }
	sh.want(exitFailed, "serve")
	if ln, err = net.Listen("tcp", s.addr); err != nil {
		t.Fatalf("a start that failed keeps the address: %v", err)
	}
	_ = ln.Close()
}

func TestServeErrors(t *testing.T) {
	sh := newShell(t)
	sh.serve = func(context.Context, serveConfig, net.Listener, persistence.Store, *slog.Logger, func(string)) error {
		return errors.New("address in use")
	}
	has(t, sh.want(exitFailed, "serve").stderr, "address in use")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := sh.runCtx(ctx, "serve"); r.code != exitOK {
		t.Errorf("told to stop before it began: exit code %d: %s", r.code, r.stderr)
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.8.9.1": true, "::1": true, "localhost": true, "LOCALHOST": true, "::ffff:127.0.0.1": true,
		"": false, "0.0.0.0": false, "::": false, "192.168.1.5": false, "localhost.example.com": false, "fe80::1": false,
	} {
		if isLoopback(host) != want {
			t.Errorf("%q: want %v", host, want)
		}
	}
}
