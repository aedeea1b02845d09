package scale

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dibs-calls/dibs/fleet"
	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// size is how large a deployment is.
type size struct{ clients, users, calls int }

func (s size) String() string {
	return fmt.Sprintf("%s clients, %s users, %s calls", thousands(s.clients), thousands(s.users), thousands(s.calls))
}

// deployment is a database, a server on it and who is in it.
type deployment struct {
	harness.Dibs
	size   size
	server *harness.Server
	key    string
	db     *pgx.Conn // beside the server; one goroutine uses it

	users, clients []string // ids; the first size.calls users are each on a call with the client of the same number

	importing [2]time.Duration // clients, users
	starting  time.Duration    // all calls in progress
}

const readyLimit = 2 * time.Minute

// deploy fills a database as people do: files are imported, calls are started.
func deploy(t *testing.T, pg *pgtest.Server, name string, n size) *deployment {
	t.Helper()
	url, err := pg.CreateDatabase("scale_" + name)
	if err != nil {
		t.Fatal(err)
	}
	d := &deployment{size: n, Dibs: harness.Dibs{Binary: binary, Store: harness.Store{DataDir: t.TempDir(), DatabaseURL: url}}}
	d.MustRun(t, "migrate", "up")
	d.importing[0] = d.importFile(t, "clients", "name,phone,email", n.clients, clientLine)
	d.importing[1] = d.importFile(t, "users", "email,first_name,last_name", n.users, userLine)
	d.key = strings.TrimSpace(d.MustRun(t, "token", "create", "--role", "admin", "--name", "scale"))
	if d.db, err = pgx.Connect(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.db.Close(context.WithoutCancel(t.Context())) })
	d.clients = d.ids(t, `SELECT id::text FROM clients ORDER BY id`)
	d.users = d.ids(t, `SELECT id::text FROM accounts ORDER BY id`)
	// What autovacuum does within minutes of an import.
	d.exec(t, `VACUUM ANALYZE`)
	d.server = d.Serve(t)
	d.server.WaitReady(readyLimit)
	begin := time.Now()
	d.startCalls(t)
	d.starting = time.Since(begin)
	return d
}

// importFile imports n made-up rows and returns how long that took.
func (d *deployment) importFile(t *testing.T, what, header string, n int, row func(i int) string) time.Duration {
	t.Helper()
	name := filepath.Join(t.TempDir(), what+".csv")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	w := bufio.NewWriter(f)
	_, _ = fmt.Fprintln(w, header)
	for i := range n {
		_, _ = fmt.Fprintln(w, row(i))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	p := d.Start(t, what, "import", name)
	if code := p.Wait(20 * time.Minute); code != 0 {
		t.Fatalf("importing %s: exit code %d: %s", what, code, p.Stderr())
	}
	return time.Since(begin)
}

// Names are two of a few hundred, as in life: a search finds some hundred of a
// million.
const (
	beginnings = "Al An Bar Ben Cal Car Dan Dor El Em Fa Fer Gar Gil Ha Her In Is Jan Jo Kar Kim La Li Mar Mo Na No Os Pa"
	endings    = "a ana as bert by de den do el en er ette ia ie in ine is la las le lin ma na ne non o ri son ta ton"
)

func personName(i int) (first, last string) {
	b, e := strings.Fields(beginnings), strings.Fields(endings)
	n := uint64(i)*0x9e3779b97f4a7c15 ^ uint64(i)>>7 // spreads them
	pick := func(words []string) string {
		w := words[n%uint64(len(words))]
		n /= uint64(len(words))
		return w
	}
	first = pick(b) + pick(e)
	return first, pick(b) + pick(e) + pick(e)
}

func clientLine(i int) string {
	first, last := personName(i)
	return fmt.Sprintf("%s %s,+4930%08d,%s.%s.%d@example.com", first, last, 10_000_000+i, strings.ToLower(first), strings.ToLower(last), i)
}

func userLine(i int) string {
	first, last := personName(i + 7)
	return fmt.Sprintf("agent-%06d@example.com,%s,%s", i, first, last)
}

func (d *deployment) ids(t *testing.T, query string) []string {
	t.Helper()
	rows, err := d.db.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func (d *deployment) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := d.db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// network is the server as a fleet asks it.
func (d *deployment) network(t *testing.T) *fleet.HTTP {
	t.Helper()
	h, err := fleet.NewHTTP(d.server.URL, d.key, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// startCalls puts the first users on calls that go on for longer than the test.
func (d *deployment) startCalls(t *testing.T) {
	t.Helper()
	const callers = 64
	net := d.network(t)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			link := net.Link()
			defer link.Close()
			for i := c; i < d.size.calls; i += callers {
				if a := link.Start(d.users[i], d.clients[i], 12*time.Hour); a.Outcome != fleet.Done {
					t.Errorf("starting call %d: %s %s", i, a.Outcome, a.Detail)
					return
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// restart kills the server and starts another. It returns how long until that one
// was ready.
func (d *deployment) restart(t *testing.T, serve ...string) time.Duration {
	t.Helper()
	d.server.Kill()
	begin := time.Now()
	d.server = d.ServeAt(t, d.server.Addr, serve...)
	d.server.WaitReady(readyLimit)
	return time.Since(begin)
}

// stop ends the server as an operator does.
func (d *deployment) stop(t *testing.T) {
	t.Helper()
	if code, _ := d.server.Terminate(time.Minute); code != 0 {
		t.Errorf("the server stopped with %d", code)
	}
}

func (d *deployment) request(t *testing.T, path string, header http.Header) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Authorization", "Bearer "+d.key)
	return r
}

// thousands writes 1000000 as 1,000,000.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
