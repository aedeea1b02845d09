package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dibs-calls/dibs/integration/harness"
)

// TestKillsLeakNothing kills and restarts a node under load again and again,
// and then counts what the others have in hand: connections at Postgres and
// NATS, subscriptions, consumers, files, and the goroutines of a node that
// lived through it all. None of it may have grown with the number of kills.
func TestKillsLeakNothing(t *testing.T) {
	monitor := harness.FreeAddr(t)
	w := newWorld(t, plan{shape: leakShape(), nodes: 2, teams: *options.rounds + 8, config: fmt.Sprintf("http: %q", monitor)})
	c := counter{w: w, monitor: "http://" + monitor}
	l := load{slots: 4, callers: 4, think: 20 * time.Millisecond, patience: 2 * time.Second, most: 3 * time.Second, entries: 300}
	kill := func(rounds int) {
		ctx, stop := context.WithCancel(t.Context())
		var working sync.WaitGroup
		working.Go(func() { w.team.run(ctx, l, 1) })
		for range rounds {
			w.team.nodes[1].kill()
			w.team.nodes[1].start()
			must(t, w.team.nodes[1].comeBack(t.Context()))
			pause(ctx, 150*time.Millisecond) // some work is done in between
		}
		stop()
		working.Wait()
	}
	kill(3) // pools have grown, caches are filled
	before := c.settled(t, nil)
	begin := time.Now()
	kill(*options.rounds)
	t.Logf("%d kills in %v", *options.rounds, time.Since(begin).Round(time.Second))
	after := c.settled(t, before)
	for _, name := range slices.Sorted(maps.Keys(after)) {
		t.Logf("%-40s %4d before, %4d after", name, before[name], after[name])
		if after[name] > before[name]+slack[kindOf(name)] {
			t.Errorf("%s: %d after %d kills, %d before", name, after[name], *options.rounds, before[name])
		}
	}
	j := newJudge(w.team, w.team.snapshot())
	j.histories("", false)
	j.promises()
	for _, found := range w.team.book.defects.all() {
		t.Error(found)
	}
}

// slack is by how much a count may differ for reasons of its own: how far a pool
// has grown depends on who happened to ask at the same time.
var slack = map[string]int{"connections at Postgres": 6, "goroutines": 12, "files open": 8}

func kindOf(name string) string {
	kind, _, _ := strings.Cut(name, ":")
	return kind
}

// counter counts what can leak.
type counter struct {
	w       *world
	monitor string // of NATS
}

// settled counts until nothing exceeds before by more than its slack, or for so
// long that it never will. Without before it counts once nothing changes any
// more.
func (c counter) settled(t *testing.T, before map[string]int) map[string]int {
	t.Helper()
	last, same := c.count(t), 0
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); {
		pause(t.Context(), 300*time.Millisecond)
		now := c.count(t)
		if same++; !maps.Equal(now, last) {
			same = 0
		}
		last = now
		if before == nil && same >= 5 || before != nil && same >= 2 && !c.exceeds(now, before) {
			break
		}
	}
	return last
}

func (c counter) exceeds(now, before map[string]int) bool {
	for name, n := range now {
		if n > before[name]+slack[kindOf(name)] {
			return true
		}
	}
	return false
}

// count counts everything once.
func (c counter) count(t *testing.T) map[string]int {
	t.Helper()
	survivor := c.w.team.nodes[0]
	n := map[string]int{
		"connections at Postgres": c.w.team.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"),
		"files in folders":        filesIn(t, survivor.dibs.Store.DataDir) + filesIn(t, c.w.team.nodes[1].dibs.Store.DataDir),
	}
	var general struct{ Connections, Subscriptions int }
	c.ask(t, "/varz", &general)
	n["connections at NATS"], n["subscriptions at NATS"] = general.Connections, general.Subscriptions
	var streams struct{ Streams, Consumers int }
	c.ask(t, "/jsz", &streams)
	n["streams"], n["consumers"] = streams.Streams, streams.Consumers
	n["goroutines: "+survivor.name] = metric(t, survivor, "go_goroutines")
	n["files open: "+survivor.name] = metric(t, survivor, "process_open_fds")
	return n
}

func (c counter) ask(t *testing.T, path string, into any) {
	t.Helper()
	resp, err := http.Get(c.monitor + path)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	must(t, json.NewDecoder(resp.Body).Decode(into))
}

// metric reads a number of a node.
func metric(t *testing.T, n *node, name string) int {
	t.Helper()
	resp, err := http.Get(n.url() + "/metrics")
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		var value float64
		if found, _ := fmt.Sscanf(lines.Text(), name+" %g", &value); found == 1 {
			return int(value)
		}
	}
	t.Fatalf("node %s has no metric %s", n.name, name)
	return 0
}

func filesIn(t *testing.T, dir string) (n int) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(_ string, _ fs.DirEntry, err error) error { n++; return err }))
	return n
}

// leakShape is the shape asked for, with a NATS that can be asked what it has.
func leakShape() shape {
	if *options.shape == string(shared) {
		return shared
	}
	return cluster
}
