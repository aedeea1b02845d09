package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// fault is something that breaks and is repaired. Both are called by the
// goroutine of the test.
type fault struct {
	kind   string
	what   string // with whom, and how bad
	solo   bool   // of the node with the built-in store
	node   int    // who suffers; everybody: -1
	peer   int    // who suffers too; nobody else: the same as node
	begin  func() error
	repair func(context.Context) error
	// recover sees to what does not get well of itself, or should have and did not;
	// nil: nothing does not.
	recover func(context.Context)
}

const everybody = -1

// maker chooses a fault of a kind: the dice decide everything about it.
type maker struct {
	kind string
	solo bool
	make func(dice *rand.Rand) fault
}

// makers are the faults that this world can have, in an order that never
// changes: a seed means the same on the next day.
func (w *world) makers() []maker {
	all := []maker{
		w.toNode("node killed", (*node).killed, w.restart),
		w.toNode("node paused", func(n *node) error { n.pause(); return nil }, func(n *node) error { n.resume(); return nil }),
		w.toNode("node told to stop", (*node).leave, w.restart),
		w.toAll("Postgres stopped at once", func() error { return w.postgres.Stop(pgtest.Immediate) }, func() error { return w.postgres.Start() }),
		w.toAll("Postgres paused", w.postgres.Pause, w.postgres.Resume),
	}
	ways := []string{toPostgres}
	if w.nats != nil {
		ways = append(ways, toNATS)
		all = append(all,
			w.toAll("NATS killed", w.nats.Kill, func() error { return w.nats.Start(w.t.Context()) }),
			w.toAll("NATS paused", w.nats.Pause, w.nats.Resume),
		)
	} else {
		all = append(all,
			w.betweenNodes("node cut from node", func(l *link, _ *rand.Rand) error { return l.swallow(requests, answers) }),
			w.betweenNodes("node refused by node", func(l *link, _ *rand.Rand) error { return l.refuse() }),
			w.betweenNodes("slow way from node to node", slowly),
		)
	}
	for _, to := range ways {
		all = append(all,
			w.toLink("cut from "+to+", both ways", to, func(l *link, _ *rand.Rand) error { return l.swallow(requests, answers) }),
			w.toLink("answers lost of "+to, to, func(l *link, _ *rand.Rand) error { return l.swallow(answers) }),
			w.toLink("refused by "+to, to, func(l *link, _ *rand.Rand) error { return l.refuse() }),
			w.toLink("slow way to "+to, to, slowly),
		)
	}
	if w.natsDisk != nil {
		all = append(all, recovering(w.toAll("disk of NATS full", w.natsDisk.fill, w.natsDisk.free), w.refillNATS))
	}
	if w.nodeDisk != nil {
		full := maker{kind: "disk of a node's NATS full", make: func(*rand.Rand) fault {
			return fault{
				kind: "disk of a node's NATS full", what: w.team.nodes[0].name, node: 0,
				begin: w.nodeDisk.fill, repair: func(context.Context) error { return w.nodeDisk.free() },
			}
		}}
		all = append(all, recovering(full, w.streamsAreBack))
	}
	if w.pgClock != nil {
		all = append(all, maker{kind: "clock of Postgres moved", make: w.movePostgresClock})
	}
	if w.team.nodes[0].clock != nil {
		all = append(all, maker{kind: "clock of a node moved", make: w.moveClock})
	}
	return append(all, w.soloMakers()...)
}

func (w *world) soloMakers() []maker {
	if w.solo == nil {
		return nil
	}
	n := w.solo.nodes[0]
	one := func(kind string, begin, repair func() error) maker {
		return maker{kind: kind, solo: true, make: func(*rand.Rand) fault {
			return fault{kind: kind, what: n.name, solo: true, begin: begin, repair: func(context.Context) error { return repair() }}
		}}
	}
	all := []maker{
		one("built-in store: killed", n.killed, func() error { return w.restart(n) }),
		one("built-in store: paused", func() error { n.pause(); return nil }, func() error { n.resume(); return nil }),
	}
	if w.soloDisk != nil {
		all = append(all, recovering(one("built-in store: disk full", w.soloDisk.fill, w.soloDisk.free), w.soloPublishes))
	}
	return all
}

func (n *node) killed() error { n.kill(); return nil }

func (w *world) restart(n *node) error { n.start(); return nil }

func (w *world) toNode(kind string, begin, repair func(*node) error) maker {
	return maker{kind: kind, make: func(dice *rand.Rand) fault {
		i := w.anyNode(dice)
		n := w.team.nodes[i]
		return fault{
			kind: kind, what: n.name, node: i, peer: i,
			begin: func() error { return begin(n) }, repair: func(context.Context) error { return repair(n) },
		}
	}}
}

func (w *world) toAll(kind string, begin, repair func() error) maker {
	return maker{kind: kind, make: func(*rand.Rand) fault {
		return fault{kind: kind, node: everybody, begin: begin, repair: func(context.Context) error { return repair() }}
	}}
}

func (w *world) toLink(kind, to string, begin func(*link, *rand.Rand) error) maker {
	return maker{kind: kind, make: func(dice *rand.Rand) fault {
		i := w.anyNode(dice)
		l, seed := w.team.nodes[i].links[to], dice.Uint64()
		return fault{
			kind: kind, what: w.team.nodes[i].name, node: i, peer: i,
			begin:  func() error { return begin(l, rand.New(rand.NewPCG(seed, 0))) },
			repair: func(context.Context) error { return l.heal() },
		}
	}}
}

func slowly(l *link, dice *rand.Rand) error {
	return l.delay(between(dice, 20*time.Millisecond, 300*time.Millisecond), 20*time.Millisecond)
}

// betweenNodes is a fault of the ways between two nodes, whichever of the two
// has made the connection.
func (w *world) betweenNodes(kind string, begin func(*link, *rand.Rand) error) maker {
	return maker{kind: kind, make: func(dice *rand.Rand) fault {
		i := w.anyNode(dice)
		j := (i + 1) % len(w.team.nodes)
		a, b := w.team.nodes[i], w.team.nodes[j]
		ways, seed := []*link{a.links[b.name], b.links[a.name]}, dice.Uint64()
		each := func(do func(*link) error) error { return errors.Join(do(ways[0]), do(ways[1])) }
		return fault{
			kind: kind, what: a.name + " and " + b.name, node: i, peer: j,
			begin: func() error {
				return each(func(l *link) error { return begin(l, rand.New(rand.NewPCG(seed, 0))) })
			},
			repair: func(context.Context) error { return each((*link).heal) },
		}
	}}
}

// jump draws how far a clock is moved, and in which direction.
func jump(dice *rand.Rand) time.Duration {
	off := between(dice, time.Minute, 2*time.Hour).Truncate(time.Second)
	if dice.IntN(2) == 0 {
		return -off
	}
	return off
}

// movePostgresClock sets the clock by which leases end, and back.
func (w *world) movePostgresClock(dice *rand.Rand) fault {
	off := jump(dice)
	return fault{
		kind: "clock of Postgres moved", what: fmt.Sprintf("by %v", off), node: everybody,
		begin:  func() error { return w.pgClock.move(off, w.postgresTime) },
		repair: func(context.Context) error { return w.pgClock.set(0) },
	}
}

func (w *world) postgresTime() (at time.Time, err error) {
	err = w.team.db.QueryRowContext(w.t.Context(), "SELECT clock_timestamp()").Scan(&at)
	return at, err
}

// moveClock sets the clock of a node, by which nothing is decided, and back.
func (w *world) moveClock(dice *rand.Rand) fault {
	i, off := w.anyNode(dice), jump(dice)
	c := w.team.nodes[i].clock
	return fault{
		kind: "clock of a node moved", what: fmt.Sprintf("%s by %v", w.team.nodes[i].name, off), node: i, peer: i,
		begin:  func() error { return c.move(off, w.team.nodes[i].time) },
		repair: func(context.Context) error { return c.set(0) },
	}
}

// recovering is a fault after which something has to be seen to.
func recovering(m maker, see func()) maker {
	plain := m.make
	m.make = func(dice *rand.Rand) fault {
		f := plain(dice)
		f.recover = func(context.Context) { see() }
		return f
	}
	return m
}

const (
	// foreignPatience is how long a nats-server that is not ours may take to find out by
	// itself that it has room again. It does not, mostly.
	foreignPatience = 3 * time.Second
	// ownPatience is the same for the server inside a node, which must: it looks every
	// second, waits ten from one new start to the next, and events that were sent and
	// not acknowledged are sent again three seconds later.
	ownPatience = 30 * time.Second
)

// refillNATS does what the operator of a NATS does whose disk was full: starts it
// again, if it does not work by itself.
func (w *world) refillNATS() {
	if w.team.publishes(foreignPatience) {
		return
	}
	w.team.book.note("NATS was started again after its disk had been full")
	w.expect(fault{kind: "disk of NATS full"}, "end", errors.Join(w.nats.Kill(), w.nats.Start(w.t.Context())))
}

// soloPublishes expects the node with NATS inside to publish again by itself.
func (w *world) soloPublishes() {
	n := w.solo.nodes[0]
	if w.solo.publishes(ownPatience) {
		w.solo.noteRevival(n)
		return
	}
	w.solo.book.defects.addf("%v after its disk had room again, the node with the built-in store does not publish: %s", ownPatience, tail(n.server.Stderr()))
	n.kill()
	n.start()
}

// noteRevival says it when a node has started the NATS inside it anew. It does not have
// to: what was written while its disk was full may have been of no importance.
func (d *deployment) noteRevival(n *node) {
	times := strings.Count(n.server.Stderr(), "starting the embedded NATS server anew")
	if times > n.revived {
		d.book.note("node " + n.name + " started the NATS inside it anew by itself after its disk had been full")
	}
	n.revived = times
}

// streamsAreBack expects each of the NATS servers inside the nodes to have the event
// stream again by itself.
func (w *world) streamsAreBack() {
	defer w.team.noteRevival(w.team.nodes[0])
	var why error
	if !w.team.within(ownPatience, func() bool { why = w.team.replicated(len(w.team.nodes)); return why == nil }) {
		w.team.book.defects.addf("%v after the disk of node %s had room again: %v; %s", ownPatience, w.team.nodes[0].name, why, tail(w.team.nodes[0].server.Stderr()))
	}
}
