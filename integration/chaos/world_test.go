package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// world is everything that can break.
type world struct {
	t        testing.TB
	shape    shape
	postgres *pgtest.Server
	nats     *natstest.Server // nil: inside the nodes
	natsDisk *disk            // nil: it cannot be filled
	nodeDisk *disk            // under the NATS inside the first node; nil: it cannot be filled, or there is none
	pgClock  *clock           // nil: it cannot be moved

	team *deployment // several nodes on Postgres and NATS
	solo *deployment // one with the built-in store; nil: none
	// soloDisk holds everything of solo; nil: it cannot be filled.
	soloDisk *disk

	leftOut []string // faults that cannot be made here, and why
	given   []string // by addr
}

// shape is how the nodes on Postgres find each other.
type shape string

const (
	shared  shape = "shared"  // they have a store and a NATS in common, and nobody is at home anywhere
	cluster shape = "cluster" // users and clients are at home on one of them
	peers   shape = "peers"   // the same, and NATS is inside the nodes
)

// plan is what a world consists of.
type plan struct {
	shape  shape
	nodes  int
	teams  int // groups of users and clients in each deployment
	solo   bool
	faults bool // links through proxies, disks that fill up, clocks that move
	disk   int64
	binary string
	clocks bool     // binary is one of buildWithClock
	config string   // of NATS
	sql    []string // carried out before the nodes start
}

func newWorld(t testing.TB, p plan) *world {
	t.Helper()
	if p.binary == "" {
		p.binary = tools.dibs
	}
	if p.shape == "" {
		p.shape = shared
	}
	w := &world{t: t, shape: p.shape}
	if p.faults && !p.clocks {
		w.lacks("clock of a node moved", errors.New("only with -chaos.clocks, because the standard library is compiled anew for it"))
	}
	w.startPostgres(p)
	w.startNATS(p)
	w.team = w.onPostgres(p)
	w.team.populate(p.teams, probesPerNode*p.nodes)
	for _, statement := range p.sql {
		_, err := w.team.db.ExecContext(t.Context(), statement)
		must(t, err)
	}
	if p.solo {
		w.solo = w.alone(p)
		w.solo.populate(p.teams, probesPerNode)
	}
	for _, d := range w.deployments() {
		d.up()
	}
	return w
}

func (w *world) deployments() []*deployment {
	if w.solo == nil {
		return []*deployment{w.team}
	}
	return []*deployment{w.team, w.solo}
}

// addr returns an address that nobody listens on, and that was not given to anybody: a
// node listens on its own only later, and the port must still be free then.
func (w *world) addr() string {
	w.t.Helper()
	for {
		address := harness.FreeAddr(w.t)
		if !slices.Contains(w.given, address) {
			w.given = append(w.given, address)
			return address
		}
	}
}

// lacks notes a fault that cannot be made.
func (w *world) lacks(fault string, why error) {
	w.leftOut = append(w.leftOut, fmt.Sprintf("%s: %v", fault, why))
}

func (w *world) startPostgres(p plan) {
	w.t.Helper()
	o := pgtest.Options{Durable: true}
	if p.faults {
		c := newClock(w.t)
		env, err := c.faketime()
		if err != nil {
			w.lacks("clock of Postgres moved", err)
		} else {
			o.Env, w.pgClock = env, c
		}
	}
	var err error
	w.postgres, err = pgtest.New(o)
	must(w.t, err)
	w.t.Cleanup(func() { _ = w.postgres.Close() })
}

func (w *world) startNATS(p plan) {
	w.t.Helper()
	if p.shape == peers {
		return // inside the nodes
	}
	dir := w.t.TempDir()
	if p.faults {
		d, err := newDisk(w.t, "nats", p.disk)
		if err != nil {
			w.lacks("disk of NATS full", err)
		} else {
			dir, w.natsDisk = d.dir, d
		}
	}
	var err error
	w.nats, err = natstest.NewServer(tools.nats, dir)
	must(w.t, err)
	w.nats.Config = p.config
	must(w.t, w.nats.Start(w.t.Context()))
	w.t.Cleanup(func() { _ = w.nats.Kill() })
}

// onPostgres describes nodes that share Postgres and NATS, each behind links of
// its own if there are to be faults.
func (w *world) onPostgres(p plan) *deployment {
	w.t.Helper()
	database, err := w.postgres.CreateDatabase("chaos")
	must(w.t, err)
	at, err := url.Parse(database)
	must(w.t, err)
	d := &deployment{t: w.t, name: "team"}
	if w.nats != nil {
		d.events = w.nats.URL()
	}
	d.direct = harness.Dibs{Binary: p.binary, Store: harness.Store{DataDir: w.t.TempDir(), DatabaseURL: database}}
	var routes []string // where the NATS inside of each node takes the others
	for range p.nodes {
		routes = append(routes, w.addr())
	}
	for i := range p.nodes {
		d.nodes = append(d.nodes, w.member(p, d.direct, at, routes, i))
	}
	if p.shape == peers {
		d.events = "nats://" + w.addr()
		d.nodes[0].args = append(d.nodes[0].args, "--nats-listen", strings.TrimPrefix(d.events, "nats://"))
	}
	return d
}

// member describes one of the nodes on Postgres.
func (w *world) member(p plan, direct harness.Dibs, database *url.URL, routes []string, i int) *node {
	w.t.Helper()
	n := &node{t: w.t, name: fmt.Sprintf("n%d", i+1), addr: w.addr(), links: map[string]*link{}, dibs: direct}
	n.dibs.Store.DataDir = w.folder(p, i)
	n.args = []string{"--log-level", "warn"}
	// through is where n reaches an address: by a link, if there are to be faults.
	through := func(to, address string) string {
		if !p.faults {
			return address
		}
		n.links[to] = newLink(w.t, n.name+to, w.addr(), address)
		return n.links[to].addr()
	}
	own := *database
	own.Host = through(toPostgres, own.Host)
	n.dibs.Store.DatabaseURL = own.String()
	if p.clocks {
		n.clock = newClock(w.t)
		n.dibs.Env = []string{offsetVariable + "=" + n.clock.file}
	}
	if p.shape != shared {
		n.args = append(n.args, "--cluster", "--node-name", n.name)
	}
	if p.shape != peers {
		n.args = append(n.args, "--nats-url", "nats://"+through(toNATS, w.nats.Addr()))
		return n
	}
	n.args = append(n.args, "--cluster-listen", routes[i], "--cluster-peers", routes[i])
	for j, address := range routes {
		if j != i {
			n.args = append(n.args, "--cluster-peers", through(fmt.Sprintf("n%d", j+1), address))
		}
	}
	return n
}

// folder is where a node on Postgres keeps what it keeps: nothing but NATS, if that is
// inside it.
func (w *world) folder(p plan, i int) string {
	w.t.Helper()
	if p.shape != peers || !p.faults || i > 0 {
		return w.t.TempDir()
	}
	d, err := newDisk(w.t, "node", p.disk)
	if err != nil {
		w.lacks("disk of a node's NATS full", err)
		return w.t.TempDir()
	}
	w.nodeDisk = d
	return d.dir
}

const (
	toPostgres = "postgres"
	toNATS     = "nats"
)

// alone describes a node with the built-in store and NATS, all on one disk.
func (w *world) alone(p plan) *deployment {
	w.t.Helper()
	dir := w.t.TempDir()
	if p.faults {
		small, err := newDisk(w.t, "solo", p.disk)
		if err != nil {
			w.lacks("disk of the built-in store full", err)
		} else {
			dir, w.soloDisk = small.dir, small
		}
	}
	listen := w.addr()
	d := &deployment{t: w.t, name: "solo", events: "nats://" + listen}
	d.direct = harness.Dibs{Binary: p.binary, Store: harness.Store{DataDir: dir}}
	d.nodes = []*node{{
		t: w.t, name: "solo", addr: w.addr(), dibs: d.direct,
		args: []string{"--nats-listen", listen, "--log-level", "warn"},
	}}
	return d
}

// anyNode chooses a node of the team.
func (w *world) anyNode(dice *rand.Rand) int { return dice.IntN(len(w.team.nodes)) }

func between(dice *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(dice.Int64N(int64(most-least)+1))
}
