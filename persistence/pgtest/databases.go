package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/persistence/postgres"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// shared is what the tests of a process share: a server, and a migrated
// database in it that others are copied from. It is made by the first test that
// asks and ends with the process (or with [Runner]); this is the one mutable
// variable of the package, because tests have nobody to hand it to them.
var shared struct { //nolint:gochecknoglobals // see above
	mu       sync.Mutex
	server   *Server // nil: not started, or an existing one is used
	base     string  // address of the server's maintenance database
	template string
	err      error
}

// URL returns the address of a fresh, migrated database for the test. It is
// dropped when the test ends.
func URL(t testing.TB) string {
	t.Helper()
	return fresh(t, true)
}

// EmptyURL is [URL] without the migrations.
func EmptyURL(t testing.TB) string {
	t.Helper()
	return fresh(t, false)
}

func fresh(t testing.TB, migrated bool) string {
	t.Helper()
	base, template, strategy, err := sharedServer()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	if !migrated {
		template = "template0"
	}
	name := "dibs_test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	quoted := pgx.Identifier{name}.Sanitize()
	if err := execAt(t.Context(), base, "CREATE DATABASE "+quoted+" TEMPLATE "+pgx.Identifier{template}.Sanitize()+strategy); err != nil {
		t.Fatalf("pgtest: create a database: %v", err)
	}
	t.Cleanup(func() {
		if err := drop(base, quoted); err != nil {
			t.Errorf("pgtest: drop the database: %v", err)
		}
	})
	return withDatabase(base, name)
}

// drop removes a database with whoever is still in it. A worker of autovacuum is
// the superuser's, whom an ordinary user may not throw out; it is soon done.
func drop(base, quoted string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := execAt(ctx, base, "DROP DATABASE IF EXISTS "+quoted+" WITH (FORCE)")
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// sharedServer also says how a database is best copied. Copying its files needs
// two checkpoints, which cost a private server nothing, since it waits for no
// disk; the default writes all of it to the log as well.
func sharedServer() (base, template, strategy string, err error) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.base == "" && shared.err == nil {
		shared.err = startShared()
	}
	if shared.server != nil {
		strategy = " STRATEGY FILE_COPY"
	}
	return shared.base, shared.template, strategy, shared.err
}

func startShared() (err error) {
	base := os.Getenv("DIBS_TEST_DATABASE_URL")
	if base == "" {
		server, err := New(Options{})
		if err != nil {
			return err
		}
		shared.server, base = server, server.URL("postgres")
	}
	shared.base = base
	defer func() {
		if err != nil {
			err = errors.Join(err, stopShared())
		}
	}()
	template := fmt.Sprintf("dibs_template_%d_%s", os.Getpid(), uuid.NewString()[:8])
	ctx := context.Background()
	if err := execAt(ctx, base, "CREATE DATABASE "+pgx.Identifier{template}.Sanitize()+" TEMPLATE template0"); err != nil {
		return fmt.Errorf("create the template database: %w", err)
	}
	shared.template = template
	if _, err := postgres.Migrate(ctx, withDatabase(base, template)); err != nil {
		return fmt.Errorf("migrate the template database: %w", err)
	}
	return nil
}

func stopShared() error {
	server, base, template := shared.server, shared.base, shared.template
	shared.server, shared.base, shared.template = nil, "", ""
	switch {
	case server != nil:
		return server.Close()
	case template != "":
		return execAt(context.Background(), base, "DROP DATABASE IF EXISTS "+pgx.Identifier{template}.Sanitize())
	}
	return nil
}

func withDatabase(base, name string) string {
	u, err := url.Parse(base)
	if err != nil || u.Scheme == "" { // key=value form
		return base + " dbname=" + name
	}
	u.Path = "/" + name
	return u.String()
}

// Runner runs a package's tests and then ends the server that they shared.
// Without it the server ends with the process; with it a search for leaked
// goroutines finds none of the kit's:
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Runner{M: m}) }
type Runner struct{ M interface{ Run() int } }

// Run implements the interface that goleak asks for.
func (r Runner) Run() int {
	code := r.M.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return max(code, 1)
	}
	return code
}

// StartServer gives the test a server of its own, which ends with the test.
func StartServer(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return s
}

// MigratedURL makes a migrated database on the server.
func (s *Server) MigratedURL(t testing.TB, name string) string {
	t.Helper()
	at, err := s.CreateDatabase(name)
	if err == nil {
		_, err = postgres.Migrate(t.Context(), at)
	}
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return at
}
