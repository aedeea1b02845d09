package sip

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/dibs-calls/dibs/integration/harness"
	"github.com/dibs-calls/dibs/persistence/pgtest"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
)

// tools are the paths of what the tests start. TestMain sets them before any
// test runs.
var tools struct{ dibs, nats, kamailio, kamcmd, sipp string }

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(pgtest.Runner{M: builder{m}})
}

// builder gets the tools before the tests and removes them after them.
type builder struct{ m *testing.M }

func (b builder) Run() int {
	dir, err := os.MkdirTemp("", "dibs-sip-")
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

// takesLong leaves a test out with -short.
func takesLong(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("left out with -short")
	}
}

func getTools(ctx context.Context, dir string) (err error) {
	for name, path := range map[string]*string{"kamailio": &tools.kamailio, "kamcmd": &tools.kamcmd, "sipp": &tools.sipp} {
		if *path, err = find(name); err != nil {
			return err
		}
	}
	if tools.dibs, err = harness.Build(ctx, "../..", "./cmd/dibs", dir); err == nil {
		tools.nats, err = natstest.Build(ctx, dir)
	}
	return err
}

// find looks for a program on the PATH, and where Debian keeps those of
// administrators, off the PATH of others.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no " + name + ", and the tests of examples/kamailio need one: install Kamailio 5.6 or later, " +
		"with its modules nats, http_client and jansson, and sipp (scripts/ensure-test-tools.sh does on Debian)")
}
