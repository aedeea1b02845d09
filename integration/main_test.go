package integration

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// tools are the paths of the binary under test and of the program that fills a
// store. TestMain sets them before any test runs.
var tools struct{ dibs, seedcalls string }

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(pgtest.Runner{M: builder{m}})
}

// builder builds the binaries before the tests and removes them after them.
type builder struct{ m *testing.M }

func (b builder) Run() int {
	dir, err := os.MkdirTemp("", "dibs-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if tools.dibs, err = harness.Build(context.Background(), "..", "./cmd/dibs", dir); err == nil {
		tools.seedcalls, err = harness.Build(context.Background(), "..", "./integration/seedcalls", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return b.m.Run()
}
