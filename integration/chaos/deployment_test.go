package chaos

import (
	"context"
	"database/sql"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/dibs-calls/dibs/integration/chaos/model"
	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/messages"
)

// deployment is nodes that share a store and an event stream, the people and
// clients in it, and what was asked about them.
type deployment struct {
	t     testing.TB
	name  string
	nodes []*node
	// commands run beside the nodes, and the tests look into the store, past
	// every proxy.
	direct harness.Dibs
	events string // URL of NATS, past every proxy
	db     *sql.DB

	token string // of a service, which acts for everybody
	admin string
	teams []*team
	// probed are the users and clients of probes: pairs that no team has.
	probed []pair
	book   *book
	runs   int64 // begun: each has idempotency keys of its own
}

type pair struct {
	user   messages.UserID
	client messages.ClientID
}

// populate makes people, clients and keys with the command line, before any
// node runs: so many teams, and so many pairs for probes.
func (d *deployment) populate(teams, probes int) {
	d.t.Helper()
	d.book = newBook()
	n := teams*model.Size + probes
	d.direct.MustRun(d.t, "migrate", "up")
	people, clients := [][]string{{"email", "first_name", "last_name", "role"}}, [][]string{{"name", "phone"}}
	for i := range n {
		people = append(people, []string{fmt.Sprintf("agent%06d@example.com", i), fmt.Sprintf("Agent%06d", i), "Smith", "user"})
		clients = append(clients, []string{fmt.Sprintf("Client %06d", i), fmt.Sprintf("+1%03d555%04d", 201+i/10000, i%10000)})
	}
	d.direct.MustRun(d.t, "users", "import", csvFile(d.t, people))
	d.direct.MustRun(d.t, "clients", "import", csvFile(d.t, clients))
	d.token = strings.TrimSpace(d.direct.MustRun(d.t, "token", "create", "--role", "service", "--name", "dialer"))
	d.admin = strings.TrimSpace(d.direct.MustRun(d.t, "token", "create", "--role", "admin", "--name", "operator"))
	d.openStore()
	userIDs := d.ids("SELECT id FROM accounts WHERE email LIKE 'agent%' ORDER BY email")
	clientIDs := d.ids("SELECT id FROM clients ORDER BY name")
	if len(userIDs) != n || len(clientIDs) != n {
		d.t.Fatalf("%d people and %d clients, want %d of each", len(userIDs), len(clientIDs), n)
	}
	for i := range teams {
		m := newTeam(i)
		for j := range model.Size {
			m.users[j].UUID, m.clients[j].UUID = userIDs[i*model.Size+j], clientIDs[i*model.Size+j]
		}
		d.teams = append(d.teams, m)
	}
	for i := teams * model.Size; i < n; i++ {
		d.probed = append(d.probed, pair{messages.UserID{UUID: userIDs[i]}, messages.ClientID{UUID: clientIDs[i]}})
	}
}

// openStore opens what the nodes keep, beside them.
func (d *deployment) openStore() {
	d.t.Helper()
	driver, address := "pgx", d.direct.Store.DatabaseURL
	if address == "" {
		driver, address = "sqlite", "file:"+filepath.Join(d.direct.Store.DataDir, "dibs.db")+"?_pragma=busy_timeout(10000)"
	}
	var err error
	d.db, err = sql.Open(driver, address)
	must(d.t, err)
	d.t.Cleanup(func() { _ = d.db.Close() })
}

func (d *deployment) ids(query string) (ids []uuid.UUID) {
	d.t.Helper()
	rows, err := d.db.QueryContext(d.t.Context(), query)
	must(d.t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id uuid.UUID
		must(d.t, rows.Scan(&id))
		ids = append(ids, id)
	}
	must(d.t, rows.Err())
	return ids
}

func csvFile(t testing.TB, rows [][]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "import.csv")
	f, err := os.Create(path)
	must(t, err)
	must(t, csv.NewWriter(f).WriteAll(rows))
	must(t, f.Close())
	return path
}

// up starts all nodes and waits until they are ready.
func (d *deployment) up() {
	d.t.Helper()
	for _, n := range d.nodes {
		n.start()
	}
	for _, n := range d.nodes {
		must(d.t, n.comeBack(d.t.Context()))
	}
}

// load is how much is asked, and of how many teams at a time.
type load struct {
	slots   int           // teams at a time
	callers int           // of each team
	think   time.Duration // between two requests of a caller, on the average
	patience,
	most time.Duration // how long a caller waits for an answer: the least and the most
	entries int // after which a team is done and the next one begins
}

// run asks until ctx ends.
func (d *deployment) run(ctx context.Context, l load, seed uint64) {
	d.runs++
	var all sync.WaitGroup
	for slot := range l.slots {
		share := everyNth(d.teams, slot, l.slots)
		for n := range l.callers {
			process := slot*l.callers + n
			dice := rand.New(rand.NewPCG(seed, uint64(process)))
			patience := l.patience + time.Duration(dice.Int64N(int64(l.most-l.patience)+1))
			c := &caller{process: process, run: d.runs, api: newAPI(d.t, d, d.token, patience), book: d.book, dice: dice, avoid: -1}
			all.Go(func() { c.work(ctx, l, share) })
		}
	}
	all.Wait()
}

// work goes through the teams of a slot, together with the slot's other callers.
// The last team stays.
func (c *caller) work(ctx context.Context, l load, share []*team) {
	for i, m := range share {
		c.team = m
		for m.size() < l.entries || i == len(share)-1 {
			if !pause(ctx, time.Duration(c.dice.Int64N(2*int64(l.think)+1))) {
				return
			}
			// What was begun is finished, however the load ends: it would stay
			// open for no reason.
			c.step(context.WithoutCancel(ctx))
		}
	}
}

func everyNth[T any](all []T, first, n int) (some []T) {
	for i := first; i < len(all); i += n {
		some = append(some, all[i])
	}
	return some
}
