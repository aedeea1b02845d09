package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// tools are the paths of what the tests start. TestMain sets them before any
// test runs.
var tools struct{ dibs, nats, chromium string }

// screenshots is the folder for pictures of what the tests see; empty: none.
var screenshots = flag.String("screenshots", "", "folder to leave pictures of the page in")

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(pgtest.Runner{M: builder{m}})
}

// builder gets the tools before the tests and removes them after them.
type builder struct{ m *testing.M }

func (b builder) Run() int {
	dir, err := os.MkdirTemp("", "dibs-browser-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		err = getTools(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return b.m.Run()
}

func getTools(ctx context.Context, dir string) (err error) {
	if tools.chromium, err = findChromium(); err != nil {
		return err
	}
	if tools.dibs, err = harness.Build(ctx, "../..", "./cmd/dibs", dir); err != nil {
		return err
	}
	if !testing.Short() {
		tools.nats, err = natstest.Build(ctx, dir)
	}
	return err
}

// takesLong leaves a test out with -short, where browsers in front of two scenes
// must do.
func takesLong(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out with -short")
	}
}
