package chaos

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// options are the flags of this package's tests.
var options = struct {
	duration *time.Duration
	seed     *uint64
	report   *string
	rounds   *int
	clocks   *bool
	keep     *bool
	shape    *string
	version  *string
}{
	flag.Duration("chaos.duration", 30*time.Second, "how long TestChaos breaks things"),
	flag.Uint64("chaos.seed", 0, "what decides the faults of TestChaos; 0: any"),
	flag.String("chaos.report", "", "folder for the report of TestChaos; empty: none is kept"),
	flag.Int("chaos.rounds", 8, "how many times TestKillsLeakNothing kills a node"),
	flag.Bool("chaos.clocks", false, "move the clocks of nodes too (compiles the standard library anew: minutes)"),
	flag.Bool("chaos.keep", false, "keep pictures of the histories in the report's folder, also of those that are in order"),
	flag.String("chaos.shape", string(cluster), "how nodes find each other: shared (they share a store alone), cluster (and a NATS), peers (NATS inside the nodes); all: one after the other"),
	flag.String("chaos.version", "", "of which version the report is to speak"),
}

// tools are the paths of the binaries under test. TestMain sets them before any
// test runs.
var tools struct{ dibs, nats string }

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(closer{pgtest.Runner{M: builder{m}}}, stuckInProxies()...)
}

// stuckInProxies are what a connection leaves behind that is closed while its way is cut
// or slowed: toxiproxy's goroutines pass on what they read over channels, and now and
// then one waits for another that has ended. Nothing from outside ends it.
func stuckInProxies() (ignored []goleak.Option) {
	for _, function := range []string{
		"toxics.(*ToxicStub).Run", "toxics.(*ToxicStub).InterruptToxic",
		"(*ToxicLink).read", "(*ToxicLink).write", "(*ToxicLink).RemoveToxic", "(*ToxicLink).RemoveToxic.func1",
		"(*ToxicCollection).chainRemoveToxic.func1",
	} {
		separator := "."
		if strings.HasPrefix(function, "toxics.") {
			separator = "/"
		}
		ignored = append(ignored, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2"+separator+function))
	}
	return ignored
}

// closer ends the connections of the default client before goroutines are
// counted.
type closer struct{ m pgtest.Runner }

func (c closer) Run() int {
	defer http.DefaultClient.CloseIdleConnections()
	return c.m.Run()
}

// builder builds the binaries before the tests and removes them after them.
type builder struct{ m *testing.M }

func (b builder) Run() int {
	dir, err := os.MkdirTemp("", "dibs-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if tools.dibs, err = harness.Build(context.Background(), root, "./cmd/dibs", dir); err == nil {
		tools.nats, err = natstest.Build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return b.m.Run()
}

// root is the folder of the module.
var root = filepath.Join("..", "..")
