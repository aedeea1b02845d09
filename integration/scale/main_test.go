package scale

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/persistence/pgtest"
)

// options are the flags of this package's tests.
var options = struct {
	full   *bool
	docs   *string
	day    *int
	binary *string
}{
	flag.Bool("scale.full", false, "measure deployments of up to a million clients (half an hour), not small ones"),
	flag.String("scale.docs", "", "folder of benchmarks.md, which gets the tables; empty: they are only logged"),
	flag.Int("scale.day", 1_000_000, "how many calls a day has, with -scale.full"),
	flag.String("scale.binary", "", "measure this binary instead of building one (for profiles)"),
}

// binary is the path of dibs. TestMain sets it before any test runs.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(pgtest.Runner{M: builder{m}})
}

// builder builds the binary before the tests and removes it after them.
type builder struct{ m *testing.M }

func (b builder) Run() int {
	dir, err := os.MkdirTemp("", "dibs-scale-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if binary = *options.binary; binary == "" {
		if binary, err = harness.Build(context.Background(), "../..", "./cmd/dibs", dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return b.m.Run()
}
