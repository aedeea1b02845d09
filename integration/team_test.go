package integration

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

const (
	password   = "correct horse battery staple"
	readyLimit = time.Minute // generous: how fast it must be is TestReadyWithManyCalls's business
	// storeAway is how long the disk under a store may stand still before a test fails
	// for it.
	storeAway = 20 * time.Second
)

// person is a line of a people file. Without a password they cannot sign in,
// and cost no hashing.
type person struct{ email, first, last, role, password string }

// importPeople makes people with the command line.
func importPeople(t testing.TB, d harness.Dibs, people ...person) {
	t.Helper()
	rows := [][]string{{"email", "first_name", "last_name", "role", "password"}}
	for _, p := range people {
		rows = append(rows, []string{p.email, p.first, p.last, p.role, p.password})
	}
	d.MustRun(t, "users", "import", csvFile(t, rows))
}

// importClients makes n clients with the command line.
func importClients(t testing.TB, d harness.Dibs, n int) {
	t.Helper()
	rows := [][]string{{"name", "phone", "email"}}
	for i := range n {
		rows = append(rows, []string{
			fmt.Sprintf("Client %05d", i), fmt.Sprintf("+1201555%04d", i), fmt.Sprintf("client%05d@example.com", i),
		})
	}
	d.MustRun(t, "clients", "import", csvFile(t, rows))
}

func csvFile(t testing.TB, rows [][]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "import.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := csv.NewWriter(f).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// agents are n people without passwords.
func agents(n int) []person {
	var people []person
	for i := range n {
		people = append(people, person{
			email: fmt.Sprintf("agent%03d@example.com", i), first: fmt.Sprintf("Agent%03d", i), last: "Smith", role: "user",
		})
	}
	return people
}

// serviceKey makes the key of a dialer, which acts for everybody.
func serviceKey(t testing.TB, d harness.Dibs) string {
	t.Helper()
	return strings.TrimSpace(d.MustRun(t, "token", "create", "--role", "service", "--name", "dialer"))
}

// dialer is a service with the people that it acts for and the clients that
// it calls.
type dialer struct {
	*harness.Client
	users   []messages.UserID
	clients []messages.ClientID
}

// newDialer makes people, clients and a key with the command line, before a
// server runs, and returns how to sign in once one does.
func newDialer(t testing.TB, d harness.Dibs, users, clients int) func(*harness.Server) *dialer {
	t.Helper()
	d.MustRun(t, "migrate", "up")
	importPeople(t, d, agents(users)...)
	importClients(t, d, clients)
	key := serviceKey(t, d)
	return func(s *harness.Server) *dialer {
		t.Helper()
		out := &dialer{Client: harness.NewClient(t, s.URL, key).Patient(storeAway)}
		for _, u := range out.Statuses(t, false) {
			if strings.HasPrefix(u.Email, "agent") {
				out.users = append(out.users, u.ID)
			}
		}
		for _, c := range out.AllClients(t) {
			out.clients = append(out.clients, c.ID)
		}
		if len(out.users) != users || len(out.clients) != clients {
			t.Fatalf("%d people and %d clients, want %d and %d", len(out.users), len(out.clients), users, clients)
		}
		return out
	}
}

// start starts a call of client c for user u.
func (d *dialer) start(t *testing.T, u, c int) harness.Reply {
	t.Helper()
	r, err := d.Put(t.Context(), d.startOf(u, c))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (d *dialer) startOf(u, c int) harness.Change {
	return harness.Change{Action: "start_call", UserID: d.users[u].String(), ClientID: d.clients[c].String()}
}

// end ends whatever call user u is on.
func (d *dialer) end(t *testing.T, u int) harness.Reply {
	t.Helper()
	r, err := d.Put(t.Context(), harness.Change{Action: "end_call", UserID: d.users[u].String()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
